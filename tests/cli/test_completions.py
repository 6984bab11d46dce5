"""The completion scripts that ship match the command, and complete."""

import subprocess
import sys

from support.commands import capgen
from support.paths import ROOT


def test_the_scripts_match_the_command():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/write_completions.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_command_completes_subcommands_and_options():
    environment = {"_CAPGEN_COMPLETE": "complete_bash", "COMP_WORDS": "capgen cap", "COMP_CWORD": "1"}
    assert capgen(env=environment).stdout.split() == ["caption"]
    environment |= {"COMP_WORDS": "capgen caption --rec", "COMP_CWORD": "2"}
    assert capgen(env=environment).stdout.split() == ["--recursive"]


def test_the_help_names_every_entry_of_the_registries():
    from capgen.batch.engines import ENGINES
    from capgen.datasets import LAYOUTS
    from capgen.outputs import ENDINGS, FORMATS, SHARD_FORMATS
    from capgen.training.decoders import DECODERS
    from capgen.training.encoders import ENCODERS

    offered = {
        "prepare": [*LAYOUTS, *ENCODERS, *ENGINES],
        "train": [*DECODERS],
        "caption": [*FORMATS, *SHARD_FORMATS, *ENDINGS, *ENGINES],
        "merge": [*FORMATS],
    }
    for command, names in offered.items():
        text = "".join(capgen(command, "--help").stdout.split())  # lines may break inside of a name
        assert all(name in text for name in names), command
