"""What capgen has written is known after a move, a rename and on another machine, and so is the image it was made of."""

import os
import shutil
import subprocess

import pytest
from PIL import Image
from support.commands import invoked
from support.drawing import draw_each
from support.tools import require_tool

from capgen.captioner.results import ImageVersion
from capgen.outputs.folder_state import NAME, FolderStates
from capgen.outputs.manifest import Record


@pytest.fixture
def photos(fake):
    """Three photographs."""
    return draw_each(fake / "photos", "a.png", "b.png", "c.png")


def capgen(folder, *options):
    return invoked("caption", "-r", folder, "--sidecar", "txt", *options)


def texts(folder):
    return {path.name: path.read_text() for path in sorted(folder.rglob("*.txt"))}


def on_another_machine(monkeypatch, fake):
    """Let capgen run as on a machine where it has never run."""
    shutil.copytree(fake / "data", fake / "other")
    for path in (fake / "other").glob("manifest*"):
        path.unlink()
    monkeypatch.setenv("CAPGEN_DATA_DIR", str(fake / "other"))


def move(folder, monkeypatch, fake):
    return folder.rename(folder.with_name("moved"))


def move_to_another_machine(folder, monkeypatch, fake):
    on_another_machine(monkeypatch, fake)
    return folder.rename(folder.with_name("moved"))


def rename_each(folder, monkeypatch, fake):
    for path in list(folder.glob("*.*")):
        if path.name != NAME:
            path.rename(path.with_stem(f"renamed {path.stem}"))
    return folder


def rename_each_on_another_machine(folder, monkeypatch, fake):
    on_another_machine(monkeypatch, fake)
    return rename_each(folder, monkeypatch, fake)


def move_files_alone(folder, monkeypatch, fake):
    (folder / "2023").mkdir()
    for path in list(folder.glob("*.*")):
        if path.name != NAME:
            path.rename(folder / "2023" / path.name)
    return folder


ways = pytest.mark.parametrize(
    "way", [move, move_to_another_machine, rename_each, rename_each_on_another_machine, move_files_alone]
)


@ways
def test_a_caption_that_a_person_has_changed_stays_wherever_it_has_gone(photos, monkeypatch, fake, way):
    capgen(photos)
    (photos / "b.txt").write_text("my words\n")
    photos = way(photos, monkeypatch, fake)
    done = capgen(photos, "--existing", "overwrite")
    assert "my words\n" in texts(photos).values()
    assert "changed by hand (--force" in done.stderr
    assert capgen(photos, "--existing", "overwrite", "--force").exit_code == 0
    assert "my words\n" not in texts(photos).values()


@ways
@pytest.mark.parametrize("existing", ["append", "prepend"])
def test_what_was_added_once_is_not_added_again_wherever_it_has_gone(photos, monkeypatch, fake, way, existing):
    for name in "abc":
        (photos / f"{name}.txt").write_text(f"tags of {name}\n")
    capgen(photos, "--existing", existing)
    added = sorted(texts(photos).values())
    assert all("tags of" in text and text.count(",") == 1 for text in added)
    photos = way(photos, monkeypatch, fake)
    for _ in range(2):
        capgen(photos, "--existing", existing)
        assert sorted(texts(photos).values()) == added


@pytest.mark.parametrize("options", [("--xmp",), ("--sidecar", "txt", "--output-dir", "OUT")])
def test_what_is_written_elsewhere_or_in_xmp_files_is_known_after_a_move(photos, fake, monkeypatch, options):
    def run(*more):
        return invoked("caption", "-r", photos, *(fake / "out" if word == "OUT" else word for word in options), *more)

    run()
    [path] = fake.rglob("b.xmp") if options[0] == "--xmp" else fake.rglob("b.txt")
    path.write_text(path.read_text().replace(" ", "  ").replace("</rdf:li>", " mine</rdf:li>") + "\n")
    on_another_machine(monkeypatch, fake)
    photos = photos.rename(fake / "moved photos")
    assert "changed by hand (--force" in run("--existing", "overwrite").stderr


def test_words_that_a_person_wrote_into_an_image_stay_when_the_image_is_moved_alone(photos):
    require_tool("exiftool")
    invoked("caption", "-r", photos, "--embed")
    words = ("-XMP-dc:Description=mine", "-XMP-iptcCore:AltTextAccessibility=mine")
    subprocess.run(["exiftool", "-q", "-overwrite_original", *words, photos / "a.png"], check=True)
    (photos / "2023").mkdir()
    (photos / "a.png").rename(photos / "2023/a.png")
    assert (
        "changed by hand (--force replaces that)"
        in invoked("caption", "-r", photos, "--embed", "--existing", "overwrite").stderr
    )


def test_an_image_of_the_same_content_with_a_persons_words_is_not_mistaken_for_a_moved_one(photos):
    capgen(photos)
    shutil.copy(photos / "a.png", photos / "copy.png")
    (photos / "copy.txt").write_text("tags\n")
    capgen(photos, "--existing", "append")
    assert (photos / "copy.txt").read_text().startswith("tags, ")


def test_a_copy_of_an_image_whose_captions_have_been_deleted_is_not_mistaken_for_a_moved_one(photos, fake):
    capgen(photos)
    draw_each(fake / "again", "a.png", "b.png", "c.png")
    shutil.rmtree(photos)
    (fake / "again/a.txt").write_text("tags\n")
    capgen(fake / "again", "--existing", "append")
    assert (fake / "again/a.txt").read_text().startswith("tags, ")


# A caption of another image


def edit_image(path):
    Image.open(path).rotate(180).save(path)
    os.utime(path, ns=(0, 0))


def test_a_caption_that_is_gone_is_not_that_of_the_image_it_was_made_of_before(photos, fake):
    capgen(photos)
    shutil.copy(photos / "a.png", fake / "first.png")
    edit_image(photos / "a.png")
    capgen(photos, "--existing", "outdated")
    for name in ("a.png", "a.txt"):
        (photos / name).unlink()
    shutil.copy(fake / "first.png", photos / "d.png")
    (photos / "d.txt").write_text("tags\n")
    capgen(photos, "--existing", "append")
    assert (photos / "d.txt").read_text().startswith("tags, ")


def test_an_outdated_caption_is_that_of_another_image_and_is_written_anew(photos):
    capgen(photos)
    before = texts(photos)
    edit_image(photos / "a.png")
    assert "3 skipped" in capgen(photos).stderr
    done = capgen(photos, "--existing", "outdated")
    assert "1 captioned in" in done.stderr
    assert "2 skipped: " in done.stderr
    after = texts(photos)
    assert [name for name in before if before[name] != after[name]] == ["a.txt"]
    assert "3 skipped" in capgen(photos, "--existing", "outdated").stderr


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_persons_words_that_a_caption_was_added_to_are_never_outdated(photos, monkeypatch, fake, elsewhere):
    (photos / "a.txt").write_text("mine")
    capgen(photos, "--existing", "append")
    both = texts(photos)["a.txt"]
    assert both.startswith("mine, ")
    if elsewhere:
        on_another_machine(monkeypatch, fake)
    for name in ("a", "b"):
        edit_image(photos / f"{name}.png")
    done = capgen(photos, "--existing", "outdated")
    assert "1 captioned in" in done.stderr
    assert "2 skipped: " in done.stderr
    assert texts(photos)["a.txt"] == both
    assert "3 skipped" in capgen(photos, "--existing", "append").stderr


def test_an_outdated_caption_that_a_person_has_changed_stays(photos):
    capgen(photos)
    (photos / "a.txt").write_text("my words\n")
    edit_image(photos / "a.png")
    assert "changed by hand (--force" in capgen(photos, "--existing", "outdated").stderr
    assert (photos / "a.txt").read_text() == "my words\n"
    capgen(photos, "--existing", "outdated", "--force")
    assert (photos / "a.txt").read_text() != "my words\n"


def test_a_persons_caption_is_never_outdated(photos):
    (photos / "a.txt").write_text("my words\n")
    capgen(photos)
    edit_image(photos / "a.png")
    assert "3 skipped" in capgen(photos, "--existing", "outdated", "--force").stderr


def test_a_file_that_was_only_touched_or_tagged_keeps_its_caption_and_is_not_read_again(photos):
    capgen(photos)
    image = Image.open(photos / "a.png")
    image.save(photos / "a.png", dpi=(300, 300))
    os.utime(photos / "b.png")
    for _ in range(2):
        assert "3 skipped" in capgen(photos, "--existing", "outdated").stderr
    for name in ("a.png", "b.png"):
        now = (photos / name).stat()
        (photos / name).write_bytes(bytes(now.st_size))  # would fail if it were read
        os.utime(photos / name, ns=(now.st_atime_ns, now.st_mtime_ns))
    assert "3 skipped" in capgen(photos, "--existing", "outdated").stderr


def test_an_outdated_caption_in_a_file_of_lines_is_replaced(photos, fake):
    def run():
        return invoked("caption", "-r", photos, "--output", fake / "c.jsonl", "--existing", "outdated")

    run()
    before = (fake / "c.jsonl").read_text().splitlines()
    edit_image(photos / "a.png")
    run()
    after = (fake / "c.jsonl").read_text().splitlines()
    assert len(after) == 3
    assert set(before[1:]) < set(after)
    assert before[0] not in after


# The file in the folder


def test_a_line_that_is_damaged_costs_that_line(tmp_path):
    states = FolderStates()
    for name in "abc":
        states.put(tmp_path / f"{name}.txt", Record(f"hash of {name}", version=ImageVersion("x", "1:2")))
    lines = (tmp_path / NAME).read_bytes().splitlines(keepends=True)
    (tmp_path / NAME).write_bytes(b"".join([*lines[:2], b"{\xff\n", b"[]\n", b'{"file": 1}\n', *lines[2:], lines[1][:20]]))
    known = FolderStates()
    assert [known.get(tmp_path / f"{name}.txt").written for name in "abc"] == ["hash of a", "hash of b", "hash of c"]
    known.put(tmp_path / "d.txt", Record("hash of d"))
    assert FolderStates().get(tmp_path / "d.txt") == Record("hash of d")


def test_two_runs_see_each_others_lines(tmp_path):
    first, second = FolderStates(), FolderStates()
    for number in range(5):
        first.put(tmp_path / f"{number}.txt", Record(str(number)))
        assert second.get(tmp_path / f"{number}.txt") == Record(str(number))
        second.put(tmp_path / "a.txt", Record(str(number)))
        assert first.get(tmp_path / "a.txt") == Record(str(number))


def test_the_file_does_not_grow_without_an_end(tmp_path):
    states, other = FolderStates(), FolderStates()
    for number in range(2500):
        states.put(tmp_path / "a.txt", Record(str(number)))
    assert len((tmp_path / NAME).read_bytes().splitlines()) < 1500
    assert other.get(tmp_path / "a.txt") == states.get(tmp_path / "a.txt") == Record("2499")


def test_a_name_is_known_composed_and_decomposed(tmp_path):
    FolderStates().put(tmp_path / "caf\u00e9.txt", Record("a"))
    assert FolderStates().get(tmp_path / "cafe\u0301.txt") == Record("a")


def test_a_link_in_the_place_of_the_file_is_not_followed_and_the_caption_is_written(photos, fake):
    (photos / NAME).symlink_to(fake / "elsewhere")
    done = capgen(photos)
    assert done.exit_code == 0
    assert done.stderr.count("is known here only") == 1
    assert not (fake / "elsewhere").exists()
