"""The README's commands run as they are typed."""

import re
import shutil
import subprocess
import sys

import pytest
from support.commands import here
from support.documents import commands
from support.drawing import COLOURS, SHAPES, draw
from support.paths import ROOT

README = (ROOT / "README.md").read_text()


def run(command, cwd, env):
    return subprocess.run(["bash", "-c", command], cwd=cwd, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def environment(places, monkeypatch):
    import os
    from pathlib import Path

    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.mark.parametrize("command", commands("README.md", "## Caption\n"))
def test_a_caption_command_captions(command, environment):
    done = run(command, ROOT, environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("command", commands("README.md", "## A photo library"))
def test_a_library_command_leaves_every_photograph_with_a_status(command, environment, tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "photos")
    done = run(command, tmp_path, environment)
    assert done.returncode == 0, done.stderr
    assert "3 captioned" in done.stderr or "low-confidence" in done.stderr or "would write" in done.stdout


def test_the_python_of_the_readme_prints_captions(environment):
    code = re.search(r"<!-- from python -->.*?```python\n(.*?)```", README, re.DOTALL).group(1)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, cat, _, text, start = done.stdout.splitlines()
    assert cat.split(" ")[:2] == ["examples/cat.jpg", "captioned"]
    assert first in cat
    assert text == "README.md unsupported None None"
    assert start.startswith("a photo of ")


def test_the_whole_path_runs_on_a_small_data_set_in_flickr8ks_layout(environment, tmp_path):
    project, source = tmp_path / "project", tmp_path / "shared/data/flickr8k"
    shutil.copytree(ROOT / "examples", project / "examples")
    (source / "images").mkdir(parents=True)
    splits = {"train": range(20), "dev": range(20, 24), "test": range(24, 28)}
    tokens = []
    for split, indices in splits.items():
        (source / f"Flickr_8k.{split}Images.txt").write_text("".join(f"{index}.jpg\n" for index in indices))
        for index in indices:
            colour, shape = list(COLOURS)[index % 4], SHAPES[index % 3]
            draw(source / f"images/{index}.jpg", colour, shape, index)
            tokens += [f"{index}.jpg#{number}\tA {colour} {shape} on a pale ground .\n" for number in range(5)]
    (source / "Flickr8k.token.txt").write_text("".join(tokens))
    path = commands("README.md", "<!-- whole path -->")
    assert [command.split()[1] for command in path] == ["prepare", "train", "evaluate", "caption"]
    for command in path:
        done = run(command, project, environment)
        assert done.returncode == 0, (command, done.stderr)
    assert done.stdout.strip()


def test_every_option_of_every_command_in_the_readme_exists():
    for command, flag in set(re.findall(r"capgen ((?:models )?\w+)[^`\n]*?(--[a-z-]+)", README)):
        assert flag in here(*command.split(), "--help").stdout, (command, flag)
