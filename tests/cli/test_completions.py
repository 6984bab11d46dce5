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


def test_the_help_names_every_layout_encoder_decoder_and_format():
    from capgen.datasets import LAYOUTS
    from capgen.outputs import FORMATS
    from capgen.training.decoders import DECODERS
    from capgen.training.encoders import ENCODERS

    for command, names in (("prepare", LAYOUTS), ("prepare", ENCODERS), ("train", DECODERS), ("caption", FORMATS)):
        text = capgen(command, "--help").stdout
        assert all(name in text for name in names), command
