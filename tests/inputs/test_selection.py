"""Which files are captioned: what arguments, lists and patterns stand for, and in which order."""

import os
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples
from support.tools import bound_by_modes

from capgen import images
from capgen.errors import ImageError, UsageError
from capgen.inputs.passed_over import PassedOverLog, kind_of_name
from capgen.inputs.selection import Selection, parse_shard

JPEG = b"\xff\xd8\xff\xe0" + bytes(60)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Make files with the given paths, each beginning like a JPEG, in the current folder ``tree``."""
    folder = tmp_path / "tree"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def make(*paths, content=JPEG):
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        return folder

    return make


def found(*arguments, **options):
    """Find files below the current folder, and return their paths."""
    return [entry.path.as_posix() for entry in Selection(**options).find(arguments)]


def passed_over(*arguments, **options):
    """Return the paths of what is passed over below the current folder, by kind."""
    log = PassedOverLog()
    list(Selection(**options).find(arguments, on_passed_over=log.add))
    kinds = {}
    for path, kind in log:
        kinds.setdefault(str(kind), []).append(path.as_posix())
    return kinds


def roots(*arguments, **options):
    return [entry.root.as_posix() for entry in Selection(**options).find(arguments)]


def test_files_come_in_the_order_of_the_arguments(tree):
    tree("b.jpg", "a.jpg")
    assert found("b.jpg", "a.jpg") == ["b.jpg", "a.jpg"]


def test_a_named_file_is_taken_whatever_it_is_and_whatever_the_patterns_say(tree):
    tree("notes.txt", ".hidden", content=b"text")
    assert found("notes.txt", ".hidden", include=("*.jpg",), exclude=("*",)) == ["notes.txt", ".hidden"]


@pytest.mark.parametrize("name", ["a*.jpg", "[ab].jpg", "what?.jpg"])
def test_a_name_with_wildcards_that_exists_is_taken_as_it_is(tree, name):
    tree(name, "ab.jpg", "a.jpg", "whats.jpg")
    assert found(name) == [name]


@pytest.mark.parametrize("name", ["none.jpg", "no/such.jpg", "a\0b.jpg", "\ud800.jpg", "long" * 100])
def test_a_name_that_does_not_exist_is_given_out_and_is_missing(tree, name):
    tree()
    (only,) = Selection(part=None).find([name])
    with pytest.raises(ImageError) as caught:
        images.read(only.path, images.Preprocessing())
    assert caught.value.status == "missing"


def test_an_empty_argument_is_an_error(tree):
    with pytest.raises(UsageError, match="empty"):
        found("")


def test_a_folder_gives_the_images_in_it_and_with_recursive_those_below(tree):
    tree("photos/b.jpg", "photos/a.jpg", "photos/deep/c.jpg")
    assert found("photos") == ["photos/a.jpg", "photos/b.jpg"]
    assert found("photos", recursive=True) == ["photos/a.jpg", "photos/b.jpg", "photos/deep/c.jpg"]


def test_a_folder_gives_its_images_by_name_files_and_folders_mixed(tree):
    tree("photos/c.jpg", "photos/b/z.jpg", "photos/b/a/x.jpg", "photos/a.jpg", "photos/B.jpg")
    paths = ["photos/B.jpg", "photos/a.jpg", "photos/b/a/x.jpg", "photos/b/z.jpg", "photos/c.jpg"]
    assert found("photos", recursive=True) == paths


def test_the_current_folder_gives_paths_without_a_dot(tree):
    tree("a.jpg", "b/c.jpg")
    assert found(".", recursive=True) == ["a.jpg", "b/c.jpg"]


def test_a_folder_gives_what_is_named_like_an_image_or_begins_like_one(tree):
    tree("in/photo", "in/scan.dat", "in/a.HEIC", "in/short.dat")
    tree("in/notes.txt", "in/broken.jpg", content=b"text")
    tree("in/empty", content=b"")
    assert found("in", recursive=True) == ["in/a.HEIC", "in/broken.jpg", "in/photo", "in/scan.dat", "in/short.dat"]


def test_hidden_files_and_folders_are_left_alone_unless_asked_for(tree):
    tree("in/a.jpg", "in/.b.jpg", "in/.cache/c.jpg")
    assert found("in", recursive=True) == ["in/a.jpg"]
    assert found("in", recursive=True, hidden=True) == ["in/.b.jpg", "in/.cache/c.jpg", "in/a.jpg"]


def test_what_systems_keep_for_themselves_is_hidden(tree):
    tree("in/a.jpg", "in/__MACOSX/b.jpg", "in/@eaDir/c.jpg", "in/$RECYCLE.BIN/d.jpg", "in/thumbs/e.jpg")
    assert found("in", recursive=True) == ["in/a.jpg", "in/thumbs/e.jpg"]
    assert len(found("in", recursive=True, hidden=True)) == 5


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg_original", "a.CR2_original", "a.jpg~", "a.jpg.bak", "a.jpg.orig", "a.jpg_exiftool_tmp", "A.PART",
        "a.jpg.crdownload", "Unconfirmed 7.download", "~syncthing~a.jpg.tmp", "a.jpg.filepart", "a.jpg.!qB", "a.THM",
    ],
)  # fmt: skip
def test_what_other_programs_leave_beside_photographs_is_left_out_unless_it_is_asked_for(tree, name):
    tree("in/a.jpg", f"in/{name}")
    assert found("in") == found("in/*") == ["in/a.jpg"]
    assert list(passed_over("in").values()) == [[f"in/{name}"]]
    assert set(found("in", hidden=True)) == {"in/a.jpg", f"in/{name}"}
    assert found(f"in/{name}") == [f"in/{name}"]


@pytest.mark.parametrize(
    "name",
    ["photos_original.jpg", "2024_original", "my.photos_original", "tmp", "a.tmp.jpg", "part", "original.jpg", "a-bak.jpg",
     "a (conflicted copy).jpg", "thm.jpg", "Recycled art", "cache"],
)  # fmt: skip
def test_names_that_only_remind_of_leftovers_are_those_of_photographs(name):
    assert kind_of_name(name) is None


@pytest.mark.parametrize(
    "folder",
    ["@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", ".thumbnails", ".stversions", "FOUND.000", "A.photoslibrary",
     "Previews.lrdata"],
)  # fmt: skip
def test_folders_of_systems_and_programs_are_counted_once_and_not_entered(tree, folder):
    tree("in/a.jpg", f"in/{folder}/b.jpg", f"in/{folder}/deep/c.jpg")
    assert found("in", recursive=True) == ["in/a.jpg"]
    assert list(passed_over("in", recursive=True).values()) == [[f"in/{folder}"]]
    assert f"in/{folder}/b.jpg" in found(f"in/{folder}", recursive=True)


@pytest.mark.parametrize(("mark", "text"), [(".nomedia", b""), (".ppignore", b"*\n"), (".ppignore", b"# all\r\n*\r\n")])
def test_a_folder_that_is_marked_not_to_be_looked_at_is_left_out_unless_it_is_named(tree, mark, text):
    tree("in/a.jpg", "in/no/b.jpg")
    tree(f"in/no/{mark}", content=text)
    assert found("in", recursive=True) == ["in/a.jpg"]
    assert passed_over("in", recursive=True) == {"ignored folder": ["in/no"]}
    assert found("in/no") == ["in/no/b.jpg"]
    assert found("in", recursive=True, hidden=True) == ["in/a.jpg", "in/no/b.jpg"]


def test_a_list_of_patterns_does_not_mark_its_folder(tree):
    tree("in/no/b.jpg")
    tree("in/no/.ppignore", content=b"*.png\n")
    assert found("in", recursive=True) == ["in/no/b.jpg"]


def test_what_is_passed_over_has_its_kind(tree):
    tree("in/a.jpg", "in/.b.jpg", "in/.git/c.jpg", "in/deep/d.jpg", "in/raw.jpg", "in/raw/x.jpg")
    tree("in/.DS_Store", "in/Thumbs.db", "in/clip.mov", "in/a.txt", "in/a.jpg.xmp", content=b"none")
    assert passed_over("in", exclude=("raw*",)) == {
        "hidden name": ["in/.b.jpg", "in/.git"], "folder": ["in/deep"], "other file": ["in/clip.mov"],
        "excluded name": ["in/raw", "in/raw.jpg"],
    }  # fmt: skip
    assert passed_over("in", include=("a.*",)) == {
        "hidden name": ["in/.b.jpg", "in/.git"], "folder": ["in/deep", "in/raw"], "excluded name": ["in/raw.jpg"],
    }  # fmt: skip


def test_what_is_passed_over_is_counted_by_kind_and_other_files_by_their_ending(tree):
    tree("in/a.bak", "in/b.bak", "in/.c.jpg", "in/d.jpg")
    tree("in/x.mov", "in/y.MOV", "in/z.mov", "in/README", content=b"none")
    log = PassedOverLog()
    list(Selection().find(["in", "in", "in/*.jpg"], on_passed_over=log.add))
    assert str(log) == "3 .mov files, 2 backups, 1 hidden name (`hidden=True`), 1 other file"
    assert len(log) == 7


def test_of_many_kinds_of_files_the_most_frequent_are_named(tree):
    tree(*(f"in/log.{number:03}" for number in range(100)), "in/a.mov", "in/b.mov", content=b"none")
    log = PassedOverLog()
    list(Selection().find(["in"], on_passed_over=log.add))
    assert str(log).startswith("2 .mov files, 1 .")
    assert str(log).endswith(", 91 others")


def test_only_what_a_pattern_matches_is_passed_over(tree):
    tree("in/a.jpg", "in/.b.jpg", "in/deep/c.png")
    tree("in/x.psd", "in/y.mov", content=b"none")
    assert passed_over("in/*.jpg") == {"hidden name": ["in/.b.jpg"]}
    with pytest.raises(UsageError, match=r"no image matches 'in/\*\.psd', but 1 \.psd file"):
        found("in/*.psd")


def test_a_hidden_folder_that_is_named_is_entered(tree):
    tree(".photos/a.jpg")
    assert found(".photos", recursive=True) == [".photos/a.jpg"]


def test_a_folder_named_like_an_image_is_a_folder(tree):
    tree("in/x.jpg/a.jpg")
    assert found("in", recursive=True) == ["in/x.jpg/a.jpg"]


def test_more_than_a_thousand_folders_in_each_other_are_walked(tree):
    tree("in/a.jpg")
    folders = [Path("in" + "/d" * depth) for depth in range(1, 1201)]
    for folder in folders:
        folder.mkdir()
    deep = Path("in/a.jpg").rename(folders[-1] / "a.jpg")
    try:
        assert found("in", recursive=True) == [deep.as_posix()]
    finally:  # before pytest does it, by a function that calls itself for each
        deep.unlink()
        for folder in reversed(folders):
            folder.rmdir()


def test_files_are_found_as_they_are_asked_for(tree):
    tree("in/a/1.jpg", "in/b/2.jpg")
    entries = Selection(recursive=True).find(["in"])
    next(entries)
    tree("in/b/1.jpg")
    assert [entry.path.name for entry in entries] == ["1.jpg", "2.jpg"]


def test_a_folder_that_cannot_be_listed_is_given_out(tree):
    (tree("in/a.jpg", "in/shut/b.jpg") / "in" / "shut").chmod(0)
    with bound_by_modes():
        assert found("in", recursive=True) == ["in/a.jpg", "in/shut"]
    (tree() / "in" / "shut").chmod(0o700)


def test_a_folder_that_fails_to_list_is_given_out(tree, monkeypatch):
    tree("in/a.jpg", "in/shut/b.jpg")
    listdir = os.listdir

    def failing(path):
        if Path(path).name == "shut":
            raise PermissionError
        return listdir(path)

    monkeypatch.setattr(os, "listdir", failing)
    assert found("in", recursive=True) == ["in/a.jpg", "in/shut"]


def test_a_file_that_may_not_be_read_is_taken_if_it_is_named_like_an_image(tree):
    folder = tree("in/a.jpg", "in/b")
    for name in ("a.jpg", "b"):
        (folder / "in" / name).chmod(0)
    with bound_by_modes():
        assert found("in", recursive=True) == ["in/a.jpg"]


def test_a_pipe_is_never_opened(tree):
    folder = tree("in/z.jpg")
    for name in ("pipe", "pipe.jpg"):
        os.mkfifo(folder / "in" / name)
    assert found("in", recursive=True) == ["in/pipe.jpg", "in/z.jpg"]
    with pytest.raises(ImageError, match="not a regular file") as caught:
        images.read(folder / "in" / "pipe.jpg", images.Preprocessing())
    assert caught.value.status == "unsupported"


def test_a_file_reached_twice_comes_once_under_its_first_name(tree):
    folder = tree("in/a.jpg", "in/b.jpg")
    arguments = ("./in/b.jpg", "in", "in/a.jpg", str(folder / "in"), "in/*.jpg", "in/../in/b.jpg")
    assert found(*arguments, recursive=True) == ["in/b.jpg", "in/a.jpg"]


def test_as_many_files_as_there_are_each_come_once(tree):
    names = [f"{number}.jpg" for number in range(5000)]
    assert found(*names, *reversed(names)) == names


# Links


def test_a_link_to_a_file_in_the_folder_is_taken(tree):
    (tree("in/a/x.jpg") / "in" / "b.jpg").symlink_to("a/x.jpg")
    assert found("in", recursive=True) == ["in/a/x.jpg", "in/b.jpg"]


def test_a_link_out_of_the_folder_is_taken_only_if_links_are_followed(tree):
    folder = tree("in/a.jpg", "in2/x.jpg")
    (folder / "in" / "b.jpg").symlink_to("../in2/x.jpg")
    assert found("in", recursive=True) == ["in/a.jpg"]
    assert found("in", recursive=True, follow_links=True) == ["in/a.jpg", "in/b.jpg"]


def test_inside_is_decided_by_where_a_folder_really_is(tree):
    folder = tree("real/a.jpg")
    (folder / "real" / "b.jpg").symlink_to("a.jpg")
    (folder / "in").symlink_to("real")
    assert found("in", recursive=True) == ["in/a.jpg", "in/b.jpg"]


def test_a_link_to_a_folder_is_entered_only_if_links_are_followed(tree):
    folder = tree("in/a.jpg", "other/x.jpg")
    (folder / "in" / "more").symlink_to("../other")
    assert found("in", recursive=True) == ["in/a.jpg"]
    assert found("in", recursive=True, follow_links=True) == ["in/a.jpg", "in/more/x.jpg"]


def test_links_in_a_circle_end(tree):
    folder = tree("in/a.jpg", "in/sub/b.jpg")
    (folder / "in" / "sub" / "up").symlink_to("..")
    (folder / "in" / "self").symlink_to("self")
    (folder / "in" / "sub" / "self.jpg").symlink_to("self.jpg")
    assert found("in", recursive=True) == ["in/a.jpg", "in/sub/b.jpg"]
    followed = ["in/a.jpg", "in/sub/b.jpg", "in/sub/self.jpg"]  # the last one fails later
    assert found("in", recursive=True, follow_links=True) == followed


def test_a_followed_folder_is_entered_once(tree):
    folder = tree("in/m/a.jpg")
    for name in ("b", "z"):
        (folder / "in" / name).symlink_to("m")
    assert found("in", recursive=True, follow_links=True) == ["in/b/a.jpg"]


def test_a_link_to_nothing_is_left_alone_unless_links_are_followed(tree):
    folder = tree("in/a.jpg")
    for name in ("b.jpg", "c.txt"):
        (folder / "in" / name).symlink_to("nothing")
    assert found("in", recursive=True) == ["in/a.jpg"]
    assert found("in", recursive=True, follow_links=True) == ["in/a.jpg", "in/b.jpg"]


def test_links_that_are_not_followed_are_passed_over_unless_they_lead_to_what_is_found_anyway(tree):
    folder = tree("in/a.jpg", "in/sub/b.jpg", "out/x.jpg", "out/y.txt")
    for name, target in (
        ("in/x.jpg", "../out/x.jpg"), ("in/more", "../out"), ("in/lost.JPG", "nothing"), ("in/0", "../out/y.txt"),
        ("in/again", "sub"), ("in/again.jpg", "a.jpg"),
    ):  # fmt: skip
        (folder / name).symlink_to(target)
    assert passed_over("in", recursive=True) == {"link": ["in/0", "in/lost.JPG", "in/more", "in/x.jpg"]}
    assert "link" not in passed_over("in", recursive=True, follow_links=True)


def test_a_named_link_is_always_taken(tree):
    folder = tree("other/x.jpg")
    (folder / "a.jpg").symlink_to("other/x.jpg")
    (folder / "b.jpg").symlink_to("nothing")
    assert found("a.jpg", "b.jpg") == ["a.jpg", "b.jpg"]


# Include and exclude

PATHS = ("a.JPG", "b.png", "raw/c.jpg", "x/raw/d.jpg", "x/y/e.jpg")


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("*.jpg", {"a.JPG", "raw/c.jpg", "x/raw/d.jpg", "x/y/e.jpg"}),
        ("[a-c].*", {"a.JPG", "b.png", "raw/c.jpg"}),
        ("[!a-c].*", {"x/raw/d.jpg", "x/y/e.jpg"}),
        ("[z-a].*", set()),
        ("[", set()),
        ("?.png", {"b.png"}),
        ("raw/*", {"raw/c.jpg"}),
        ("RAW/*", {"raw/c.jpg"}),
        ("./raw/*", {"raw/c.jpg"}),
        ("/*.*", {"a.JPG", "b.png"}),
        ("*/*.jpg", {"raw/c.jpg"}),
        ("**/raw/*", {"raw/c.jpg", "x/raw/d.jpg"}),
        ("x/**", {"x/raw/d.jpg", "x/y/e.jpg"}),
        ("x/**/e.jpg", {"x/y/e.jpg"}),
        ("x/**/y/**/e.jpg", {"x/y/e.jpg"}),
        ("**/*.png", {"b.png"}),
        ("**", set(PATHS)),
        ("*", set(PATHS)),
    ],
)
def test_a_pattern_includes_what_it_matches_and_excludes_it(tree, pattern, matched):
    tree(*(f"in/{path}" for path in PATHS))
    assert found("in", recursive=True, include=(pattern,)) == [f"in/{path}" for path in PATHS if path in matched]
    assert found("in", recursive=True, exclude=(pattern,)) == [f"in/{path}" for path in PATHS if path not in matched]


def test_a_file_needs_to_match_one_of_the_included_and_none_of_the_excluded(tree):
    tree("in/a.jpg", "in/a.png", "in/b.png", "in/c.gif")
    assert found("in", recursive=True, include=("*.jpg", "*.png"), exclude=("b*", "c*")) == ["in/a.jpg", "in/a.png"]


@pytest.mark.parametrize("pattern", ["raw", "raw/", "R?W", "**/raw", "**/raw/"])
def test_an_excluded_folder_is_not_entered(tree, pattern, monkeypatch):
    tree("in/a.jpg", "in/raw/b.jpg", "in/x/raw/c.jpg")
    listed, listdir = [], os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(Path(path).name) or listdir(path))
    assert found("in", recursive=True, exclude=(pattern,)) == ["in/a.jpg"]
    assert listed == ["in", "x"]


def test_a_pattern_may_exclude_folders_and_files(tree):
    tree("in/a.jpg", "in/x/b.jpg", "in/x/y/c.jpg")
    assert found("in", recursive=True, exclude=("*/*",)) == ["in/a.jpg"]


def test_include_does_not_keep_folders_from_being_entered(tree):
    tree("in/deep/a.jpg")
    assert found("in", recursive=True, include=("a.*",)) == ["in/deep/a.jpg"]


# Patterns as arguments


def test_a_pattern_gives_the_images_that_it_matches_sorted(tree):
    tree("b.jpg", "a.JPG", "c.png", ".d.jpg", "sub/e.jpg")
    tree("notes.txt", content=b"text")
    assert found("*.jpg") == ["a.JPG", "b.jpg"]
    assert found("*.jpg", hidden=True) == [".d.jpg", "a.JPG", "b.jpg"]
    assert found("*") == ["a.JPG", "b.jpg", "c.png"]


def test_two_stars_stand_for_any_number_of_folders(tree):
    tree("in/a.jpg", "in/x/b.jpg", "in/x/y/c.jpg", "in/x/y/d.png", "in/.z/e.jpg")
    assert found("in/**/*.jpg") == ["in/a.jpg", "in/x/b.jpg", "in/x/y/c.jpg"]
    assert found("in/**/y/*") == ["in/x/y/c.jpg", "in/x/y/d.png"]
    assert found("in/**") == ["in/a.jpg", "in/x/b.jpg", "in/x/y/c.jpg", "in/x/y/d.png"]


def test_a_pattern_looks_only_where_it_could_match(tree, monkeypatch):
    tree("in/2024/a/x.jpg", "in/2024/a/deep/x.jpg", "in/2023/a/x.jpg", "other/x.jpg")
    listed, listdir = [], os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(Path(path).as_posix()) or listdir(path))
    assert found("in/*4/?/*.jpg") == ["in/2024/a/x.jpg"]
    assert listed == ["in", "in/2024", "in/2024/a"]


def test_an_absolute_pattern_gives_absolute_paths(tree):
    folder = tree("in/a.jpg")
    assert found(f"{folder}/i?/*.jpg") == [f"{folder}/in/a.jpg"]


def test_patterns_obey_include_and_exclude(tree):
    tree("in/a.jpg", "in/b.jpg", "in/a.png", "in/raw/a.jpg")
    assert found("in/**/*.jpg", include=("a.*",), exclude=("raw",)) == ["in/a.jpg"]


@pytest.mark.parametrize("pattern", ["*.gif", "none/*.jpg", "a.jpg/*", "sub*", "[", "x\0/*", "*\0"])
def test_a_pattern_that_finds_nothing_is_an_error_that_names_it(tree, pattern):
    tree("a.jpg", "sub/b.jpg")
    with pytest.raises(UsageError, match="no image matches") as caught:
        found(pattern)
    assert repr(pattern) in str(caught.value)


def test_a_pattern_that_matches_folders_enters_them_with_recursive(tree):
    tree("2024-1/a.jpg", "2024-2/deep/b.jpg", "2023/c.jpg", "2024.jpg")
    assert found("2024*") == ["2024.jpg"]
    assert found("2024*", recursive=True) == ["2024-1/a.jpg", "2024-2/deep/b.jpg", "2024.jpg"]


def test_a_pattern_whose_files_all_came_before_or_are_in_other_shards_is_no_error(tree):
    tree("a.jpg")
    assert found("a.jpg", "*.jpg") == ["a.jpg"]
    assert found("*.jpg", part=(1, 2)) + found("*.jpg", part=(2, 2)) == ["a.jpg"]


# Names with brackets, braces and accents


@pytest.mark.parametrize(
    ("pattern", "only"),
    [
        ("in/[2024] Images/*.jpg", "in/[2024] Images/a.jpg"),
        ("in/[2024] Images", "in/[2024] Images/a.jpg"),
        ("in/{a,b}/*.jpg", "in/{a,b}/a.jpg"),
        ("in/{a,b}", "in/{a,b}/a.jpg"),
        ("in/a*b/*.jpg", "in/a*b/a.jpg"),
        ("what?/*", "what?/a.jpg"),
        ("in/x[y/*.jpg", "in/x[y/a.jpg"),
        ("**/what?/*", "what?/a.jpg"),
        ("in/*/[2024]*.png", "in/x[y/[2024] one.png"),
        ("in/x[y/[[]2024] one.png", "in/x[y/[2024] one.png"),
    ],
)
def test_a_name_that_is_there_is_meant_by_a_pattern_of_the_same_letters(tree, pattern, only):
    folders = ("in/[2024] Images", "in/2 Images", "in/{a,b}", "in/a*b", "in/a", "in/b", "in/axb", "what?", "in/x[y")
    tree(*(f"{folder}/a.jpg" for folder in folders), "in/x[y/[2024] one.png")
    assert found(pattern) == [only]


def test_below_a_folder_with_a_wildcard_a_pattern_with_brackets_means_both(tree):
    tree("in/[2024] Images/a.jpg", "in/2 Images/a.jpg", "in/5 Images/a.jpg")
    assert found("*/[2024] Images/*") == ["in/2 Images/a.jpg", "in/[2024] Images/a.jpg"]


def test_an_excluded_name_with_brackets_is_meant_as_it_is(tree):
    tree("in/[2024] Images/a.jpg", "in/b/c [1].jpg", "in/b/d.jpg")
    assert found("in", recursive=True, exclude=("[2024] Images", "c [1].jpg")) == ["in/b/d.jpg"]


def test_braces_after_a_folder_with_braces_are_expanded(tree):
    tree("{a,b}/c.jpg", "{a,b}/d.jpg", "{a,b}/e.jpg")
    assert found("{a,b}/{c,d}.jpg") == ["{a,b}/c.jpg", "{a,b}/d.jpg"]


COMPOSED, DECOMPOSED = "Caf\u00e9", "Cafe\u0301"


@pytest.mark.parametrize(("here", "named"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_composed_and_decomposed_names_are_the_same_in_paths_lists_and_patterns(tree, here, named):
    tree(f"{here}/{here}.jpg", f"{here}/b.jpg")
    only = [f"{here}/{here}.jpg"]
    assert found(f"{named}/{named}.jpg") == only
    assert [entry.path.as_posix() for entry in Selection().find([], listed=[f"{named}/{named}.jpg"])] == only
    assert found(f"{named}/C*") == found(f"*/{named}.*") == only
    assert found(named, exclude=("b.*",)) == only
    assert found(here, exclude=(f"{named}.jpg",)) == [f"{here}/b.jpg"]


def test_of_two_forms_of_a_name_the_one_that_is_given_is_taken(tree):
    tree(f"{COMPOSED}.jpg", f"{DECOMPOSED}.jpg")
    assert found(f"{DECOMPOSED}.jpg") == [f"{DECOMPOSED}.jpg"]


# Roots


def test_the_root_of_a_folders_images_is_the_folder(tree):
    folder = tree("in/sub/a.jpg")
    assert roots("in", "in/sub", recursive=True) == ["in"]
    assert roots(str(folder / "in"), recursive=True) == [f"{folder}/in"]
    assert roots("in/sub") == ["in/sub"]


def test_the_root_of_a_patterns_images_is_its_part_without_wildcards(tree):
    folder = tree("in/sub/a.jpg", "b.jpg")
    assert roots("in/sub/*.jpg", "in/**/*.jpg") == ["in/sub"]
    assert roots("in/*/*.jpg") == ["in"]
    assert roots("*.jpg") == ["."]
    assert roots(f"{folder}/*/**") == [folder.as_posix()]


def test_the_root_of_a_named_file_is_the_current_folder_or_its_own(tree):
    folder = tree("in/a.jpg", "b.jpg")
    assert roots("in/a.jpg", "b.jpg", "none/x.jpg") == [".", ".", "."]
    assert roots(str(folder / "in" / "a.jpg"), "in/../b.jpg") == [f"{folder}/in", "in/.."]


def test_every_path_is_relative_to_its_root(tree, monkeypatch):
    monkeypatch.chdir(tree("in/a.jpg", "in/sub/b.jpg", "c.jpg") / "in")
    arguments = (".", "../c.jpg", "sub/none.jpg", "../*", "..", "/none/x.jpg")
    paths = [entry.relative_path for entry in Selection(recursive=True).find(arguments)]
    assert paths == ["a.jpg", "sub/b.jpg", "c.jpg", "sub/none.jpg", "x.jpg"]


# Shards


@settings(deadline=None, max_examples=examples(50))
@given(st.lists(st.integers(0, 10**6), max_size=60, unique=True), st.integers(1, 9), st.randoms())
def test_shards_are_disjoint_and_complete_and_keep_the_order(numbers, count, generator):
    names = [f"none-{number}.jpg" for number in numbers]
    shards = [found(*names, part=(number, count)) for number in range(1, count + 1)]
    assert sorted(chain(*shards)) == sorted(names)
    assert all(shard == [name for name in names if name in shard] for shard in shards)
    shuffled = generator.sample(names, len(names))
    assert all(set(found(*shuffled, part=(number, count))) == set(shards[number - 1]) for number in range(1, count + 1))


def test_a_file_is_in_the_same_shard_wherever_its_folder_is(tree):
    names = [f"{number}.jpg" for number in range(40)]
    tree(*(f"{mount}/sub/{name}" for mount in ("here", "far/away") for name in names))
    here, there = (found(mount, recursive=True, part=(2, 3)) for mount in ("here", "far/away"))
    assert [name.removeprefix("here/") for name in here] == [name.removeprefix("far/away/") for name in there]
    assert 0 < len(here) < 40


def test_the_shard_of_a_path_never_changes():
    names = [f"{name}.jpg" for name in "abcdefgh"]
    assert found(*names, part=(1, 2)) == ["b.jpg", "c.jpg", "e.jpg", "g.jpg"]


def test_files_are_spread_evenly_over_shards():
    names = [f"DSC{number:05}.JPG" for number in range(3000)]
    assert all(900 < len(found(*names, part=(number, 3))) < 1100 for number in (1, 2, 3))


def test_a_file_reached_by_two_roots_is_in_one_shard_only(tree):
    tree(*(f"in/sub/{number}.jpg" for number in range(30)))
    shards = [found("in", "in/sub", "in/sub/*.jpg", recursive=True, part=(number, 3)) for number in (1, 2, 3)]
    assert sorted(chain(*shards)) == sorted(found("in", recursive=True))


@pytest.mark.parametrize(("text", "shard"), [("1/1", (1, 1)), ("2/8", (2, 8)), ("8/8", (8, 8)), ("01/10", (1, 10))])
def test_a_shard_is_read(text, shard):
    assert parse_shard(text) == shard


@pytest.mark.parametrize(
    "text", ["", "2", "/", "2/", "/8", "0/8", "9/8", "1/0", "-1/8", "1/-8", "2 / 8", "2/8/9", "a/b", "1.5/2", "1/2\n", "²/8"]
)
def test_what_is_not_a_shard_is_reported_in_one_line(text):
    with pytest.raises(UsageError) as caught:
        parse_shard(text)
    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_shard_of_too_many_digits_is_refused():
    with pytest.raises(UsageError):
        parse_shard(f"1/{'9' * 5000}")


def test_a_single_pattern_is_taken_as_one():
    assert Selection(include="*.jpg", exclude="old*") == Selection(include=("*.jpg",), exclude=("old*",))
