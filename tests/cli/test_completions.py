"""The completion scripts that ship match the command, and complete."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import capgen, here
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


KINDS = [
    ("caption --model", "photo-en-v1"),
    ("score -m", "photo-en-v1"),
    ("evaluate", "photo-en-v1"),
    ("evaluate --data", "holiday"),
    ("evaluate --split", "dev"),
    ("train", "holiday"),
    ("train holiday --config", "flickr8k"),
    ("train holiday --from", "photo-en-v1"),
    ("train holiday --decoder", "attention"),
    ("prepare folder --encoder", "efficientnet-lite0"),
    ("prepare folder --format", "coco"),
    ("prepare folder --engine", "ray"),
    ("caption --format", "jsonl"),
    ("caption --existing", "outdated"),
    ("merge --format", "csv"),
    ("models show", "photo-en-v1"),
    ("data show", "holiday"),
    ("config set", "sidecar-name"),
    ("config set existing", "prepend"),
    ("config set model", "photo-en-v1"),
    ("config unset", "beam"),
]


@pytest.fixture
def holiday(user_folders):
    """A data set of that name, of which only the name matters."""
    file = user_folders / "data/datasets/holiday.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")


def completed(shell, line):
    """What the command answers to the script of a shell where the cursor is behind a line and a space."""
    environment = {"_CAPGEN_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        environment |= {"COMP_WORDS": f"capgen {line} ", "COMP_CWORD": str(len(line.split()) + 1)}
    else:
        environment |= {"_TYPER_COMPLETE_ARGS": f"capgen {line} ", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    return here(env=environment).stdout


@pytest.mark.parametrize(("line", "name"), KINDS)
def test_names_of_every_kind_are_completed(line, name, holiday):
    assert name in completed("bash", line).split()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_given_the_same_names(shell, holiday):
    text = completed(shell, "train holiday --config")
    assert [name in text for name in completed("bash", "train holiday --config").split()] == [True] * 4


@pytest.mark.parametrize("line", ["caption --model", "evaluate --data", "train holiday --config", "prepare x --encoder"])
def test_nothing_heavy_is_loaded_to_complete_a_name(line, holiday):
    program = (
        "import atexit, sys; sys.argv = ['capgen']\n"
        "heavy = {'numpy', 'PIL', 'rich', 'tensorflow', 'keras', 'ai_edge_litert', 'lxml', 'tomlkit'}\n"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules)), file=sys.stderr))\n"
        "from capgen.cli import main; main()"
    )
    words = {"COMP_WORDS": f"capgen {line} ", "COMP_CWORD": str(len(line.split()) + 1)}
    environment = {**os.environ, "_CAPGEN_COMPLETE": "complete_bash", **words}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout
    assert done.stderr == "[]\n"


def test_bash_completes_with_the_script_that_ships(holiday):
    script = (
        f"source {ROOT / 'completions/capgen.bash'}; COMP_WORDS=(capgen train ho); COMP_CWORD=2\n"
        "_capgen_completion capgen; echo ${COMPREPLY[@]}"
    )
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "holiday\n"


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
