"""What capgen has written once is not written again: field by field, in two destinations, through links, and in copies."""

import json
import os
import shutil

import pytest
from support.commands import invoked
from support.drawing import draw_each
from support.tools import require_tool

from capgen.outputs import photo_metadata
from capgen.outputs.embedded import Embedded
from capgen.outputs.fields import Fields
from capgen.outputs.xmp import XmpSidecar

pytestmark = pytest.mark.slow  # exiftool is started for most

MINE = "Anna at the window"


@pytest.fixture
def photos(fake):
    """Two photographs that differ."""
    return draw_each(fake / "photos", "a.jpg", "b.jpg")


@pytest.fixture
def exiftool():
    require_tool("exiftool")


def capgen(folder, *options):
    """Caption a folder; return the summary."""
    done = invoked("caption", "-r", folder, *options)
    assert done.exit_code == 0, done.stderr
    return done.stderr


def said(image):
    """What the captioner says of an image."""
    return invoked("caption", image).stdout.strip()


def reasons(folder, *options):
    """Caption a folder; return why each image was skipped, by name."""
    report = folder.parent / "report.jsonl"
    capgen(folder, *options, "--report", report)
    rows = map(json.loads, report.read_text().splitlines())
    return {os.path.relpath(row["path"], folder): row["reason"] for row in rows}


def fields(path):
    found = XmpSidecar().fields(path) if path.suffix == ".xmp" else photo_metadata.read(path).fields
    return found.description, found.alternative


def write(path, description=None, alternative=None):
    """Put words into the fields of a file, as a person does."""
    destination = XmpSidecar() if path.suffix == ".xmp" else Embedded()
    destination.write(path, Fields(description, alternative))
    destination.close()


# Field by field

destinations = pytest.mark.parametrize(("option", "name"), [("--xmp", "a.xmp"), ("--embed", "a.jpg")])
turns = pytest.mark.parametrize("turned", [False, True])


def turn(texts, turned):
    """Exchange the two fields."""
    return texts[::-1] if turned else texts


@destinations
@turns
@pytest.mark.parametrize("existing", ["append", "prepend"])
@pytest.mark.parametrize("forced", [(), ("--force",)])
def test_what_capgen_has_filled_is_not_added_to(photos, exiftool, option, name, turned, existing, forced):
    file, first = photos / name, said(photos / "a.jpg")
    write(file, *turn((MINE, None), turned))
    capgen(photos, option, "--existing", "fill")
    for _ in range(2):
        capgen(photos, option, "--existing", existing, "--prefix", "new ", *forced)
        added = f"{MINE}, new {first}" if existing == "append" else f"new {first}, {MINE}"
        assert turn(fields(file), turned) == (added, first)


@destinations
@turns
@pytest.mark.parametrize("existing", ["append", "overwrite"])
def test_a_field_that_capgen_has_filled_and_a_person_has_changed_stays(photos, exiftool, option, name, turned, existing):
    file = photos / name
    write(file, *turn((MINE, None), turned))
    capgen(photos, option, "--existing", "fill")
    write(file, *turn((None, "changed"), turned))
    assert "changed by hand (--force" in capgen(photos, option, "--existing", existing)
    assert turn(fields(file), turned) == (MINE, "changed")


@destinations
def test_a_persons_field_beside_one_that_capgen_has_filled_is_still_a_persons(photos, exiftool, option, name):
    file = photos / name
    write(file, MINE)
    capgen(photos, option, "--existing", "fill")
    filled = fields(file)
    assert "2 skipped" in capgen(photos, option, "--existing", "outdated")
    write(file, "other words")
    assert "changed by hand" not in capgen(photos, option, "--existing", "outdated")
    assert fields(file) == ("other words", filled[1])
    capgen(photos, option, "--existing", "overwrite", "--prefix", "new ")
    assert fields(file) == (f"new {filled[1]}",) * 2


@destinations
def test_a_field_that_a_person_has_taken_out_of_capgens_caption_is_filled_and_is_capgens(photos, exiftool, option, name):
    capgen(photos, option)
    both = fields(photos / name)
    write(photos / name, *(both[0], ""))
    capgen(photos, option, "--existing", "fill", "--prefix", "new ")
    assert "changed by hand" not in capgen(photos, option, "--existing", "append")
    assert fields(photos / name) == (both[0], f"new {both[1]}")
    capgen(photos, option, "--existing", "overwrite")
    assert fields(photos / name) == both


def test_what_was_filled_is_known_in_a_folder_that_was_moved_to_another_machine(photos, fake, monkeypatch):
    write(photos / "a.xmp", MINE)
    capgen(photos, "--xmp", "--existing", "fill")
    filled = fields(photos / "a.xmp")
    for path in (fake / "data").glob("manifest*"):
        path.unlink()
    photos = photos.rename(fake / "moved")
    capgen(photos, "--xmp", "--existing", "append", "--prefix", "new ")
    assert fields(photos / "a.xmp") == (f"{MINE}, new {filled[1]}", filled[1])


@pytest.mark.parametrize("killed", ["before", "after"])
def test_a_kill_in_the_middle_of_adding_beside_a_filled_field_doubles_nothing(photos, monkeypatch, killed):
    file, write_file = photos / "a.xmp", XmpSidecar.write
    write(file, MINE)
    capgen(photos, "--xmp", "--existing", "fill")
    filled = fields(file)[1]

    def cut(self, target, caption):
        if killed == "after":
            write_file(self, target, caption)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(XmpSidecar, "write", cut)
        invoked("caption", photos / "a.jpg", "--xmp", "--existing", "append")
    capgen(photos, "--xmp", "--existing", "append", "--prefix", "new ")
    assert fields(file) == (f"{MINE}, {'' if killed == 'after' else 'new '}{filled}", filled)


# In two destinations


@pytest.mark.parametrize("there", ["a.xmp", "a.jpg"])
@pytest.mark.parametrize("runs", [[("--xmp", "--embed")], [("--xmp",), ("--embed",)], [("--embed",), ("--xmp",)]])
def test_a_caption_that_was_added_in_one_place_is_taken_over_in_the_other(photos, exiftool, there, runs):
    first = said(photos / "a.jpg")
    write(photos / there, MINE)
    for options in runs * 2:
        capgen(photos, *options, "--existing", "append")
    both, in_file = (f"{MINE}, {first}", first), fields(photos / "a.xmp")
    assert fields(photos / "a.jpg") == both
    assert in_file in (both, (both[0], None))  # a file that is only kept in step gets no field that it has not
    (photos / "a.jpg").write_bytes((photos / "a.jpg").read_bytes() + b"\0")
    for option in ("--xmp", "--embed"):
        assert "2 skipped" in capgen(photos, option, "--existing", "outdated", "--prefix", "new ")
    assert (fields(photos / "a.xmp"), fields(photos / "a.jpg")) == (in_file, both)


def test_what_was_filled_in_one_place_is_filled_and_not_added_to_in_the_other(photos, exiftool):
    first = said(photos / "a.jpg")
    write(photos / "a.xmp", MINE)
    capgen(photos, "--xmp", "--embed", "--existing", "fill")
    assert (fields(photos / "a.xmp"), fields(photos / "a.jpg")) == ((MINE, first), (None, first))
    capgen(photos, "--xmp", "--embed", "--existing", "append")
    assert fields(photos / "a.xmp") == (f"{MINE}, {first}", first)


@pytest.mark.parametrize("existing", ["append", "prepend"])
def test_an_alternative_text_of_capgens_in_the_sidecar_is_not_joined_to_another_in_the_photograph(
    photos, exiftool, existing
):
    first = said(photos / "a.jpg")
    write(photos / "a.jpg", "in the photograph")
    write(photos / "a.xmp", "in the sidecar")
    capgen(photos, "--xmp", "--embed", "--existing", existing)
    added = f"in the photograph, {first}" if existing == "append" else f"{first}, in the photograph"
    assert fields(photos / "a.jpg") == (added, first)


def test_words_that_a_person_changed_in_one_place_are_taken_over_as_they_are(photos, exiftool):
    capgen(photos, "--xmp")
    write(photos / "a.xmp", "mine", "mine")
    capgen(photos, "--embed", "--existing", "append")
    assert fields(photos / "a.jpg") == ("mine", "mine")


@pytest.mark.parametrize("options", [("--sidecar", "txt"), ("--output", "out.csv")])
def test_force_adds_nothing_to_capgens_own_caption(photos, monkeypatch, options):
    monkeypatch.chdir(photos)
    for _ in range(3):
        capgen(photos, *options, "--existing", "append", "--prefix", "new ", "--force")
    assert (photos / {"txt": "a.txt", "out.csv": "out.csv"}[options[1]]).read_text().count("new") == (
        1 if options[1] == "txt" else 2
    )


# Through links


@pytest.mark.parametrize("existing", ["skip", "fill", "append", "prepend", "overwrite", "outdated"])
@pytest.mark.parametrize("words", [None, MINE])
def test_a_photograph_of_several_names_is_captioned_once(photos, exiftool, existing, words):
    if words:
        write(photos / "a.jpg", words)
    (photos / "album").mkdir()
    os.link(photos / "a.jpg", photos / "album/hard.jpg")
    (photos / "link.jpg").symlink_to("a.jpg")
    first = said(photos / "a.jpg")
    shares = reasons(photos, "--embed", "--existing", existing)
    after = fields(photos / "a.jpg")
    assert after[1] in (first, None)
    assert after[0] in (first, MINE, f"{MINE}, {first}", f"{first}, {MINE}")
    if after != (words, None):
        assert ["same file" in str(shares[name]) for name in ("a.jpg", "album/hard.jpg", "link.jpg")].count(True) == 2
    for name in ("album/hard.jpg", "link.jpg", "a.jpg", "."):
        assert "changed by hand" not in capgen(photos / name, "--embed", "--existing", existing)
    assert fields(photos / "a.jpg") == after
    assert (photos / "a.jpg").samefile(photos / "album/hard.jpg")


def test_every_name_of_a_photograph_is_known_whichever_was_captioned_last(photos, exiftool):
    os.link(photos / "a.jpg", photos / "hard.jpg")
    capgen(photos / "a.jpg", "--embed")
    capgen(photos / "hard.jpg", "--embed", "--existing", "overwrite", "--prefix", "new ")
    assert "changed by hand" not in capgen(photos / "a.jpg", "--embed", "--existing", "overwrite")
    write(photos / "a.jpg", "mine", "mine")
    for name in ("hard.jpg", "a.jpg"):
        for existing in ("overwrite", "append"):
            assert "changed by hand" in capgen(photos / name, "--embed", "--existing", existing)


def test_sidecars_that_are_one_file_are_written_once_and_photographs_of_several_names_have_their_own(photos):
    os.link(photos / "a.jpg", photos / "c.jpg")
    (photos / "a.txt").write_text("tags\n")
    os.link(photos / "a.txt", photos / "b.txt")
    shares = reasons(photos, "--sidecar", "txt", "--existing", "append")
    assert "same file" in shares["b.jpg"]
    assert (photos / "b.txt").read_text() == f"tags, {said(photos / 'a.jpg')}\n"
    assert (photos / "c.txt").read_text() == f"{said(photos / 'a.jpg')}\n"


def test_a_dry_run_says_which_photographs_are_one(photos, exiftool):
    os.link(photos / "a.jpg", photos / "c.jpg")
    done = invoked("caption", photos, "--embed", "--dry-run")
    assert [line for line in done.stdout.splitlines() if "same file" in line] == [
        f"{photos / 'c.jpg'}: left as it is: it has the same file for its caption as another image, whose caption is in it"
    ]


def test_a_dry_run_names_each_file_once(photos, exiftool):
    write(photos / "a.jpg", MINE)
    (photos / "b.jpg").write_bytes(b"")
    done = invoked("caption", photos / "a.jpg", "--embed", "--dry-run")
    assert done.stdout == f"{photos / 'a.jpg'}: left as it is: it has a caption\n"


# In copies


def copy(folder, *names):
    """Copy files into an album, as ``cp`` does."""
    (folder / "album").mkdir(exist_ok=True)
    for name in names:
        shutil.copyfile(folder / name, folder / "album" / name)
    return folder / "album"


kinds = pytest.mark.parametrize(
    ("options", "ending"), [(("--sidecar", "txt"), ".txt"), (("--xmp",), ".xmp"), (("--embed",), ".jpg")]
)


@kinds
@pytest.mark.parametrize("existing", ["append", "prepend", "outdated"])
def test_a_copy_of_a_photograph_and_its_caption_is_known(photos, exiftool, options, ending, existing):
    if ending == ".txt":
        (photos / "a.txt").write_text(MINE)
    else:
        write(photos / f"a{ending}", MINE)
    capgen(photos, *options, "--existing", "append")
    album = copy(photos, *{"a.jpg", f"a{ending}"})
    (album / "a.jpg").rename(album / "other.jpg")
    (album / f"a{ending}").rename(album / f"other{ending}") if ending != ".jpg" else None
    before = (album / f"other{ending}").read_bytes()
    for _ in range(2):
        assert "3 skipped" in capgen(photos, *options, "--existing", existing, "--prefix", "new ")
    assert (album / f"other{ending}").read_bytes() == before


@kinds
@pytest.mark.parametrize("has_gone", [False, True])
def test_a_copy_that_a_person_has_changed_is_not_replaced(photos, exiftool, options, ending, has_gone):
    capgen(photos, *options)
    album = copy(photos, *{"a.jpg", f"a{ending}"})
    for name in {"a.jpg", f"a{ending}"} if has_gone else ():
        (photos / name).unlink()
    if ending == ".txt":
        (album / "a.txt").write_text("changed")
    else:
        write(album / f"a{ending}", "changed", "changed")
    before = (album / f"a{ending}").read_bytes()
    for _ in range(2):
        assert "changed by hand (--force" in capgen(photos, *options, "--existing", "overwrite")
        assert (album / f"a{ending}").read_bytes() == before
    capgen(photos, *options, "--existing", "overwrite", "--force")
    assert (album / f"a{ending}").read_bytes() != before


def test_words_that_a_person_added_to_a_copy_do_not_double_the_caption_in_it(photos):
    capgen(photos, "--sidecar", "txt")
    album = copy(photos, "a.jpg", "a.txt")
    words = f"my tags, {(album / 'a.txt').read_text().strip()}, more tags\n"
    (album / "a.txt").write_text(words)
    capgen(photos, "--sidecar", "txt", "--existing", "append")
    assert (album / "a.txt").read_text() == words


def test_a_copy_of_an_output_file_is_known(photos, fake):
    first, second = fake / "out.csv", fake / "copy/out.csv"
    second.parent.mkdir()
    capgen(photos, "--output", first)
    shutil.copyfile(first, second)
    assert "2 skipped" in capgen(photos, "--output", second, "--existing", "append", "--prefix", "new ")
    second.write_text(second.read_text().replace(said(photos / "a.jpg"), "mine"))
    assert "changed by hand (--force" in capgen(photos, "--output", second, "--existing", "overwrite", "--prefix", "new ")
    assert "mine" in second.read_text()


def test_photographs_of_one_name_and_content_with_other_words_of_persons_are_each_added_to(photos):
    album = copy(photos, "a.jpg")
    (album / "a.txt").write_text("in the album")
    (photos / "a.txt").write_text("in the folder")
    for existing in ("append", "overwrite"):
        assert "changed by hand" not in capgen(photos, "--sidecar", "txt", "--existing", existing)
    capgen(photos, "--sidecar", "txt", "--existing", "append")
    assert (album / "a.txt").read_text() == (photos / "a.txt").read_text() == f"{said(photos / 'a.jpg')}\n"
