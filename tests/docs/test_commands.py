"""The commands and programs of README and ``docs/`` run as they stand, in a folder with what the pages speak of."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from support.commands import here
from support.documents import PAGES, blocks, text
from support.drawing import COLOURS, SHAPES, draw, draw_dataset
from support.paths import ROOT

NOT_RUN = {
    "CONTRIBUTING.md": ["it is the set-up of a checkout"],
    "README.md": [".ci/run installs the package", "it is the test"],
    "docs/how-to/library.md": ["it goes on until Ctrl-C", "needs Docker"],
    "docs/how-to/many-machines.md": ["needs a store"],
    "docs/how-to/own-captioner.md": ["downloads 528 MB", "needs several devices"],
}
"""The blocks that no test runs. Whoever adds one has to say so here."""


def draw_flickr8k(folder):
    """Draw a small data set in Flickr8k's layout."""
    (folder / "images").mkdir(parents=True)
    splits = {"train": range(20), "dev": range(20, 24), "test": range(24, 28)}
    tokens = []
    for split, indices in splits.items():
        (folder / f"Flickr_8k.{split}Images.txt").write_text("".join(f"{index}.jpg\n" for index in indices))
        for index in indices:
            colour, shape = list(COLOURS)[index % 4], SHAPES[index % 3]
            draw(folder / f"images/{index}.jpg", colour, shape, index)
            tokens += [f"{index}.jpg#{number}\tA {colour} {shape} on a pale ground .\n" for number in range(5)]
    (folder / "Flickr8k.token.txt").write_text("".join(tokens))


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """A cache that all pages share, so that an encoder is made ready for this machine once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def project(user_folders, encoders, monkeypatch):
    """A folder with the examples, a library, archives and captioned data sets, as the pages name them."""
    monkeypatch.setenv("CAPGEN_CACHE_DIR", str(encoders))
    folder = user_folders / "project"
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copy(ROOT / "README.md", folder)
    for name in ("photos", "photos/2026"):
        (folder / name).mkdir()
        for image in sorted((ROOT / "examples").glob("*.jpg"))[:2]:
            shutil.copy(image, folder / name)
    draw_dataset(folder / "shapes", 20)
    draw_flickr8k(folder / "flickr8k")
    rows = "".join(f"photos/{name}.jpg,a {name} on a table\n" for name in ("coffee", "astronaut", "cat"))
    (folder / "photos-with-captions.csv").write_text(f"image,caption\n{rows}")
    shutil.copy(ROOT / "examples/cat.jpg", folder / "photos")
    for number in range(2):
        with tarfile.open(folder / f"data-{number:04}.tar", "w") as archive:
            archive.add(ROOT / "examples/cat.jpg", f"{number}.jpg")
    return folder


def run(command, project):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(["bash", "-c", command], cwd=project, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run_one_after_the_other(page, project):
    for block in blocks(page, "sh"):
        for command in () if block.reason else block.commands:
            done = run(command, project)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_the_blocks_that_are_not_run_are_known():
    found = {page: [block.reason for block in blocks(page, "sh") if block.reason] for page in PAGES}
    assert {page: reasons for page, reasons in found.items() if reasons} == NOT_RUN


def test_the_program_of_the_python_page_prints_captions(project):
    [program] = blocks("docs/reference/python.md", "python")
    done = subprocess.run([sys.executable, "-c", program.body], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, cat, _, readme, prompted = done.stdout.splitlines()
    assert cat.split(" ")[:2] == ["examples/cat.jpg", "captioned"]
    assert first in cat
    assert readme == "README.md unsupported None None"
    assert prompted.startswith("a photo of ")


@pytest.mark.parametrize("page", PAGES)
def test_every_option_that_a_page_names_exists(page):
    for command, flag in set(re.findall(r"capgen ((?:models |cache |data |config )?[a-z]+)[^`\n]*?(--[a-z-]+)", text(page))):
        assert flag in here(*command.split(), "--help").stdout, (command, flag)


@pytest.mark.parametrize("page", PAGES)
def test_a_link_to_a_file_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text(page)):
        found = (ROOT / page).parent / target
        made = found.name in {"commands.md", "settings.md"}  # by docs/conf.py, before each build
        assert made or found.exists(), target


def test_the_readme_is_short():
    assert len(text("README.md").splitlines()) <= 80
