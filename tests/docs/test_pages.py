"""The pages of ``docs/`` build, with the reference that is made from the code."""

import os
import subprocess
import sys

import pytest
from support.paths import ROOT


@pytest.mark.slow
def test_the_pages_build_without_a_warning_or_a_broken_reference(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--recursive" in (tmp_path / "reference/commands.html").read_text()
    assert "patience" in (tmp_path / "reference/settings.html").read_text()
    python = (tmp_path / "reference/python.html").read_text()
    assert "caption_many" in python
    assert "Caption images; each worker takes a batch at a time" in python  # of its docstring
