"""``capgen models``: captioners listed, shown, packed, imported, removed and chosen."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.bundles import CONTENTS, DESCRIPTION, WHOLE, contents_of, describe, everything, sealed
from support.commands import capgen, refused
from support.documents import commands
from support.paths import ROOT
from support.tools import require_tool

from capgen.captioner import bundle, catalogue, collection
from capgen.captioner.bundle import Bundle
from capgen.cli import diagnostics
from capgen.errors import BundleError, CapgenError, UsageError

COMMAND = Path(sys.executable).with_name("capgen")


def models(*arguments, **more):
    return capgen("models", *arguments, **more)


def on_a_terminal(answer, *arguments, columns=80):
    """Run the command with a terminal of a number of columns, on which ``answer`` is typed."""
    typed = f"COLUMNS={columns} {COMMAND} models {' '.join(arguments)}"
    command = [require_tool("script"), "-qec", typed, "/dev/null"]
    return subprocess.run(command, input=answer, capture_output=True, text=True, check=False)


@pytest.fixture
def mine(user_folders):
    """A captioner in the data folder, named ``mine``."""
    bundle.write(user_folders / "data/models/mine", replace(DESCRIPTION, name="mine"), CONTENTS)
    return user_folders / "data/models/mine"


@pytest.fixture
def tiny(user_folders):
    """A packed captioner that calls itself ``tiny``."""
    bundle.write(user_folders / "tiny.capgen", DESCRIPTION, CONTENTS)
    return user_folders / "tiny.capgen"


@pytest.fixture
def damaged(mine):
    """The captioner ``mine``, with a changed byte."""
    (mine / bundle.DECODER).write_bytes(b"another graph")
    return mine


def test_list_names_those_that_ship_and_yours_with_size_data_and_score(mine):
    done = models("list")
    assert (done.returncode, done.stderr) == (0, "")
    header, shipped, yours = done.stdout.splitlines()
    assert header.endswith("  CIDEr-D (0 to 10)")
    assert header.split()[:6] == ["name", "from", "size", "language", "trained", "on"]
    assert shipped.startswith("photo-en-v1 (default)  ships")
    assert yours.split()[:2] == ["mine", "yours"]
    assert re.search(r"49\.6 MB  English +everyday, 13,908 images  0\.6080 on dev$", shipped)
    assert re.search(r" k?B +English +café +0\.5000 on dev$", yours)


def test_list_as_json_has_all_of_it(mine):
    shipped, yours = json.loads(models("list", "--json").stdout)
    assert (shipped["name"], shipped["ships"], shipped["default"]) == ("photo-en-v1", True, True)
    assert (yours["name"], yours["ships"], yours["default"]) == ("mine", False, False)
    assert yours["path"] == str(mine)
    assert yours["size"] == sum(map(len, contents_of(mine).values()))
    assert yours["scores"] == DESCRIPTION.scores
    assert yours["fault"] is None


def test_list_is_a_table_on_a_terminal(mine):
    shown = on_a_terminal("", "list").stdout
    assert "│ mine" in shown
    assert "photo-en-v1 (default)" in shown


def test_a_damaged_one_is_listed_as_damaged_and_why_is_said(damaged):
    done = models("list")
    assert done.returncode == 0
    assert "damaged" in done.stdout.splitlines()[2]
    assert "decoder.tflite is not the file" in done.stderr
    assert "capgen models remove mine" in done.stderr
    assert json.loads(models("list", "--json").stdout)[1]["fault"]


@pytest.mark.parametrize("name", bundle.FILES[:4])
def test_one_without_a_file_is_listed_as_damaged(mine, name):
    (mine / name).unlink()
    fault = collection.entries()[1].fault
    assert f"{name} cannot be read" in fault


def test_what_is_no_captioner_is_not_listed(user_folders):
    (user_folders / "data/models/photos").mkdir(parents=True)
    (user_folders / "data/models/photos/a.jpg").write_bytes(b"precious")
    (user_folders / "data/models/.new.part").mkdir()
    (user_folders / "data/models/notes.txt").write_text("mine")
    assert [found.name for found in collection.entries()] == ["photo-en-v1"]


def test_one_that_has_the_name_of_one_that_ships_hides_it(user_folders):
    bundle.write(user_folders / "data/models/photo-en-v1", DESCRIPTION, CONTENTS)
    shipped, yours = collection.entries()
    assert (shipped.hidden, shipped.default) == (True, True)
    assert (yours.hidden, yours.default) == (False, False)


def test_show_says_in_words_what_it_was_trained_on_and_its_scores_with_their_scale(user_folders):
    done = models("show", "photo-en-v1")
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout
    for words in (
        "language    English",
        "squeezed to 288 x 288 pixels",
        "it knows 3,478 words",
        "beam search with 3 beams; a caption has at most 20 words",
        "13,908 images with 41,895 captions from flickr8k, coco_photographs, named_objects, rooms and web_captions",
        "from 0 to 1, CIDEr-D from 0 to 10; more is better",
        "wrong by 0.04 on average over 1,130 dev images",
        "49.6 MB in 9 files",
        "--all, its model card with --card",
    ):
        assert words in said
    heads, *rows = [line.split() for line in said.splitlines() if line.startswith(" " * 12)]
    assert heads == ["split", "images", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D"]
    assert ["Flickr8k", "test", "1,000", "0.2321", "0.2165", "0.4818", "0.6134"] in rows
    for number in ("56c2a3271402609d", "0.6532", "channels", "brier", "weights.npz"):
        assert number not in said


def test_show_wraps_its_lines_to_a_terminal_and_not_in_a_pipe(user_folders):
    shown = on_a_terminal("", "show", "photo-en-v1", columns=70).stdout.splitlines()
    assert max(len(line) for line in shown if not line.startswith("path")) <= 70
    piped = models("show", "photo-en-v1").stdout.splitlines()
    assert len(piped) < len(shown)
    assert " ".join(" ".join(shown).split()) == " ".join(" ".join(piped).split())


def test_show_all_has_every_number_and_every_file(mine):
    done = models("show", "mine", "--all")
    assert (done.returncode, done.stderr) == (0, "")
    for words in (
        "efficientnet-lite0, output cells, fingerprint abc",
        "attention, lstm size 4",
        "num beams 3",
        "café, epochs 2",
        "CIDEr-D 0.5",
        "images 4",
        "decoder.tflite, 19 B",
    ):
        assert words in done.stdout
    assert str(mine) in done.stdout
    assert "CIDEr-D 0.6134 (0.5778 to 0.6513)" in models("show", "photo-en-v1", "--all").stdout


def test_show_calls_scores_of_earlier_versions_by_their_names_of_today(user_folders):
    described = replace(DESCRIPTION, scores={"dev": {"words used": 5, "sharing": 0.1}})
    bundle.write(user_folders / "data/models/old", described, CONTENTS)
    assert "dev: vocabulary size used 5, share of duplicate captions 0.1" in models("show", "old", "--all").stdout


def test_show_names_the_language_by_its_tag_if_it_is_not_english(user_folders):
    bundle.write(user_folders / "data/models/hindi", replace(DESCRIPTION, training={"language": "hi"}), CONTENTS)
    assert "language    hi\n" in models("show", "hindi").stdout


def test_show_describes_a_packed_one_too(tiny):
    assert "name        tiny" in models("show", tiny).stdout


def test_show_prints_the_card_or_the_description(mine):
    assert models("show", "mine", "--card").stdout == "# tiny\n"
    assert json.loads(models("show", "mine", "--json").stdout)["training"] == DESCRIPTION.training
    for both in (("--json", "--card"), ("--all", "--json"), ("--all", "--card")):
        refused(models("show", "mine", *both), "choose one", code=2)


def test_show_of_a_damaged_one_says_what_is_wrong(damaged):
    refused(models("show", "mine"), "is damaged: decoder.tflite")


@pytest.mark.slow
def test_the_card_of_a_stranger_does_not_command_the_terminal(user_folders):
    escape = "\x1b]0;owned\x07\x9b2J"
    described = replace(DESCRIPTION, training={"data": f"x{escape}"}, scores={escape: {escape: escape}})
    bundle.write(user_folders / "data/models/odd", described, {**CONTENTS, bundle.MODEL_CARD: f"# odd{escape}\n".encode()})
    for arguments in (("show", "odd"), ("show", "odd", "--card"), ("list",)):
        text = models(*arguments).stdout
        assert "\x1b" not in text
        assert "\x9b" not in text
    assert r"\x1b]0;owned" in models("show", "odd", "--card").stdout


def test_path_is_the_folder_alone(mine):
    done = models("path", "mine")
    assert (done.stdout, done.stderr) == (f"{mine}\n", "")


@pytest.mark.parametrize("arguments", [("show",), ("path",), ("export", "file.capgen"), ("default",)])
def test_an_unknown_name_offers_the_nearest(mine, arguments):
    refused(models(arguments[0], "mime", *arguments[1:], cwd=mine), "no captioner", "did you mean mine", code=2)


def test_no_other_is_offered_to_be_removed(mine):
    refused(models("remove", "--yes", "mime", cwd=mine), "named 'mime'; known: mine\n", code=2)


def test_what_is_exported_and_imported_elsewhere_is_the_same(mine, tmp_path):
    done = models("export", "mine", tmp_path / "a b/out.capgen")
    assert (done.returncode, done.stdout) == (0, "")
    elsewhere = tmp_path / "elsewhere"
    assert models("import", tmp_path / "a b/out.capgen", env={"CAPGEN_DATA_DIR": str(elsewhere)}).returncode == 0
    assert contents_of(elsewhere / "models/mine") == contents_of(mine)


def test_a_packed_one_captions_as_the_folder_does(user_folders):
    assert models("export", "photo-en-v1", user_folders / "packed.capgen").returncode == 0
    photograph = ROOT / "examples/cat.jpg"
    done = capgen("caption", "--model", user_folders / "packed.capgen", photograph)
    assert (done.returncode, done.stdout) == (0, capgen("caption", photograph).stdout)


def test_the_same_captioner_gives_the_same_file_at_any_time(mine, tmp_path, monkeypatch):
    collection.export("mine", tmp_path / "first.capgen")
    monkeypatch.setattr(time, "time", lambda: 2e9)
    collection.export("mine", tmp_path / "second.capgen")
    assert (tmp_path / "first.capgen").read_bytes() == (tmp_path / "second.capgen").read_bytes()


def test_a_file_that_exists_is_replaced_only_if_asked_for(mine, tmp_path):
    there = tmp_path / "out.capgen"
    there.write_bytes(b"precious")
    refused(models("export", "mine", there), str(there), "--overwrite", code=2)
    assert there.read_bytes() == b"precious"
    assert models("export", "mine", there, "--overwrite", "--quiet").stderr == ""
    Bundle(there).verify()


def test_a_file_with_another_ending_is_refused(mine, tmp_path):
    refused(models("export", "mine", tmp_path / "out.zip"), ".capgen", code=2)


def test_a_damaged_one_is_not_packed(damaged, tmp_path):
    refused(models("export", "mine", tmp_path / "out.capgen"), "is damaged: decoder.tflite")
    assert not (tmp_path / "out.capgen").exists()


@pytest.mark.slow
def test_where_nothing_can_be_written_one_line_says_so(mine, tmp_path):
    (tmp_path / "file").write_text("")
    refused(models("export", "mine", tmp_path / "file/out.capgen"), "cannot write")
    (tmp_path / "out.capgen").mkdir()
    refused(models("export", "mine", tmp_path / "out.capgen", "--overwrite"), "it is a folder")


def test_a_packed_one_is_imported_under_its_own_name(tiny, user_folders):
    done = models("import", tiny)
    assert (done.returncode, done.stdout) == (0, "")
    assert "capgen caption --model tiny" in done.stderr
    assert contents_of(user_folders / "data/models/tiny") == WHOLE


@pytest.mark.slow
def test_a_folder_is_imported_under_another_name_without_what_else_is_in_it(mine):
    (mine / "notes.txt").write_text("not a part of it")
    assert models("import", mine, "--name", "copy").returncode == 0
    assert contents_of(mine.parent / "copy").keys() == {*CONTENTS, bundle.DESCRIPTION}
    assert "copy, which calls itself mine" in models("show", "copy").stdout


def test_one_that_exists_is_replaced_only_if_asked_for(tiny, mine):
    before = contents_of(mine)
    refused(models("import", tiny, "--name", "mine"), "'mine'", "--overwrite", code=2)
    assert contents_of(mine) == before
    assert models("import", tiny, "--name", "mine", "--overwrite").returncode == 0
    assert contents_of(mine) == WHOLE
    assert list(mine.parent.iterdir()) == [mine]


def test_the_name_of_one_that_ships_is_not_taken_by_accident(tiny, user_folders):
    refused(models("import", tiny, "--name", "photo-en-v1"), "ships", "--name", code=2)
    assert not (user_folders / "data").exists()


def test_something_else_is_never_replaced(tiny, user_folders):
    (user_folders / "data/models/photos").mkdir(parents=True)
    (user_folders / "data/models/photos/a.jpg").write_bytes(b"precious")
    refused(models("import", tiny, "--name", "photos", "--overwrite"), "would be lost")
    assert contents_of(user_folders / "data/models/photos") == {"a.jpg": b"precious"}


def test_a_link_is_replaced_and_not_what_it_leads_to(tiny, mine, tmp_path):
    mine.rename(tmp_path / "kept")
    mine.symlink_to(tmp_path / "kept")
    before = contents_of(tmp_path / "kept")
    collection.install(tiny, "mine", overwrite=True)
    assert contents_of(tmp_path / "kept") == before
    assert not mine.is_symlink()
    assert contents_of(mine) == WHOLE


@pytest.mark.parametrize("name", ["", ".", "..", "../evil", "/evil", "a/b", ".hidden", "-rf", "a b", "a\\b", "a\n", "é"])
def test_a_name_that_is_no_plain_name_is_refused(tiny, user_folders, name):
    before = everything(user_folders)
    with pytest.raises(UsageError, match="give one with `name`"):
        collection.install(tiny, name, overwrite=True)
    (user_folders / "odd.capgen").write_bytes(sealed(name=name))
    with pytest.raises(UsageError, match="give one with `name`"):
        collection.install(user_folders / "odd.capgen")
    (user_folders / "odd.capgen").unlink()
    assert everything(user_folders) == before


@pytest.mark.slow
def test_what_is_not_there_or_no_captioner_is_refused(user_folders, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "folder").mkdir()
    refused(models("import", tmp_path / "nowhere"), "there is no captioner at")
    refused(models("import", tmp_path / "photo.jpg"), "neither a folder nor a .capgen file")
    refused(models("import", tmp_path / "folder"), "bundle.json cannot be read")
    assert not (user_folders / "data").exists()


def test_an_import_that_cannot_be_written_leaves_nothing(tiny, user_folders, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CapgenError, match="the disk is full"):
        collection.install(tiny)
    assert list((user_folders / "data/models").iterdir()) == []


def test_remove_takes_the_captioner_and_nothing_else(mine, tiny):
    collection.install(tiny)
    done = models("remove", "mine", "--yes")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "'mine' is removed\n")
    assert [path.name for path in mine.parent.iterdir()] == ["tiny"]


def test_on_a_terminal_it_asks_first(mine):
    done = on_a_terminal("n\n", "remove", "mine")
    assert done.returncode == 1
    assert "cannot be brought back [y/N]" in done.stdout
    assert mine.exists()
    assert on_a_terminal("y\n", "remove", "mine").returncode == 0
    assert not mine.exists()


def test_without_a_terminal_it_asks_for_yes(mine):
    refused(models("remove", "mine"), "give --yes to remove mine", code=2)
    assert mine.exists()


def test_one_that_ships_is_never_removed(user_folders):
    refused(models("remove", "photo-en-v1", "--yes"), "ships with capgen", code=2)
    Bundle(catalogue.find("photo-en-v1")).verify()


def test_other_files_in_its_folder_stay(mine):
    (mine / "notes.txt").write_text("precious")
    done = models("remove", "mine", "--yes")
    assert done.returncode == 0
    assert "other files" in done.stderr
    assert contents_of(mine) == {"notes.txt": b"precious"}
    assert [found.name for found in collection.entries()] == ["photo-en-v1"]


def test_a_damaged_one_can_be_removed(damaged):
    (damaged / bundle.DESCRIPTION).write_bytes(b"{")
    assert models("remove", "mine", "--yes").returncode == 0
    assert not damaged.exists()


def test_no_link_is_followed_out_of_the_folder(mine, tmp_path):
    outside = tmp_path / "outside"
    shutil.copytree(mine, outside)
    (mine / bundle.DECODER).unlink()
    (mine / bundle.DECODER).symlink_to(outside / bundle.DECODER)
    (mine.parent / "link").symlink_to(outside)
    (mine.parent / "nowhere").symlink_to(tmp_path / "gone")
    before = contents_of(outside)
    for name in ("mine", "link", "nowhere"):
        assert collection.remove(name) is False
    assert list(mine.parent.iterdir()) == []
    assert contents_of(outside) == before


def test_a_description_that_lists_files_elsewhere_removes_none_of_them(mine, user_folders):
    (user_folders / "data/evil").write_text("precious")
    describe(mine, files={"../../evil": "0", str(user_folders / "data/evil"): "0", "..": "0"})
    collection.remove("mine")
    assert (user_folders / "data/evil").read_text() == "precious"
    assert not mine.exists()


@pytest.mark.parametrize("name", ["..", ".", "", "../models/mine", "mine/"])
def test_only_names_are_removed(mine, name):
    with pytest.raises(UsageError):
        collection.remove(name)
    assert mine.exists()


@pytest.mark.slow
def test_the_default_is_used_wherever_none_is_named(user_folders):
    shutil.copytree(catalogue.SHIPPED / catalogue.DEFAULT, user_folders / "data/models/mine")
    assert models("default").stdout == "photo-en-v1\n"
    assert models("default", "mine").stderr == "the default is mine\n"
    assert (models("default").stdout, catalogue.find(None)) == ("mine\n", user_folders / "data/models/mine")
    assert [found.default for found in collection.entries()] == [False, True]
    (user_folders / "data/models/mine" / bundle.ENCODER).unlink()
    assert "data/models/mine is" in capgen("caption", ROOT / "examples/cat.jpg").stderr
    assert models("default", "--reset").returncode == 0
    assert capgen("caption", ROOT / "examples/cat.jpg").returncode == 0


def test_removing_the_default_goes_back_to_the_one_that_ships_and_says_so(mine):
    collection.choose("mine")
    done = models("remove", "mine", "--yes", "--quiet")
    assert "captioner that ships again, photo-en-v1" in done.stderr
    assert catalogue.find(None) == catalogue.SHIPPED / "photo-en-v1"


@pytest.mark.slow
def test_a_default_that_has_vanished_says_how_to_go_back(mine):
    collection.choose("mine")
    shutil.rmtree(mine)
    for done in (models("default"), capgen("caption", ROOT / "examples/cat.jpg")):
        refused(done, "'mine'", "not there any more", "capgen models default --reset")
    done = models("list")
    assert done.returncode == 0
    assert "capgen models default --reset" in done.stderr
    assert models("default", "--reset").returncode == 0
    assert models("default").stdout == "photo-en-v1\n"


@pytest.mark.parametrize("data", [b"", b"../evil\n", b"\xff\xfe", b"a\nb\n", b"x" * 1000 + b"/"])
def test_a_choice_that_is_no_name_says_how_to_go_back(user_folders, data):
    (user_folders / "data").mkdir()
    (user_folders / "data/default-captioner").write_bytes(data)
    with pytest.raises(BundleError, match="capgen models default --reset"):
        catalogue.find(None)
    assert [found.default for found in collection.entries()] == [False]
    collection.reset()
    assert catalogue.find(None) == catalogue.SHIPPED / "photo-en-v1"


def test_doctor_names_the_default_and_misses_one_that_has_vanished(mine):
    collection.choose("mine")
    assert dict(diagnostics._captioners())["default"]() == str(mine)
    shutil.rmtree(mine)
    with pytest.raises(BundleError, match="not there any more"):
        dict(diagnostics._captioners())["default"]()


def test_a_damaged_one_is_not_made_the_default(damaged):
    refused(models("default", "mine"), "is damaged")
    assert catalogue.find(None) == catalogue.SHIPPED / "photo-en-v1"


def test_a_path_is_not_made_the_default(tiny):
    refused(models("default", tiny), "capgen models import", code=2)


def test_the_one_that_ships_and_yours_of_the_same_name_are_distinguished(user_folders):
    bundle.write(user_folders / "data/models/photo-en-v1", DESCRIPTION, CONTENTS)
    assert "not yours of that name" in models("default").stderr
    collection.choose("photo-en-v1")
    assert catalogue.find(None) == user_folders / "data/models/photo-en-v1"
    collection.remove("photo-en-v1")
    assert catalogue.find(None) == catalogue.SHIPPED / "photo-en-v1"


def test_reset_with_a_name_is_wrong_usage(mine):
    assert models("default", "mine", "--reset").returncode == 2


@pytest.mark.slow
def test_the_commands_of_the_tutorial_run_as_they_are_typed(user_folders):
    for command in commands("docs/tutorial.md", "## Which captioner"):
        done = subprocess.run(
            ["bash", "-c", command], cwd=user_folders, env={**os.environ, "PATH": f"{COMMAND.parent}:{os.environ['PATH']}"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stderr)
    assert models("default").stdout == "photo-en-v1\n"
