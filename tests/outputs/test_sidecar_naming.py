"""Which sidecar is an image's, and what a new one is called, whatever the order and the number of runs."""

import itertools
import re
import unicodedata

import pytest
from support.commands import invoked
from support.drawing import draw_each

from capgen.errors import UnknownNameError
from capgen.inputs.selection import Found
from capgen.outputs.sidecar_naming import SidecarNames
from capgen.outputs.xmp import XmpSidecar
from capgen.storage import platform


def named(folder, *images, rule="auto", ending=".xmp", output_dir=None):
    """Return what the sidecars of images are called."""
    names = SidecarNames(ending, output_dir, rule)
    names.survey([Found(folder / image, folder) for image in images])
    return [names.path(folder / image, folder).name for image in images]


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_a_new_sidecar_has_the_stem(tmp_path):
    assert named(touch(tmp_path, "a.jpg"), "a.jpg") == ["a.xmp"]


@pytest.mark.parametrize(("rule", "name"), [("auto", "a.txt"), ("stem", "a.txt"), ("full", "a.jpg.txt")])
def test_a_new_sidecar_is_called_as_was_asked(tmp_path, rule, name):
    assert named(touch(tmp_path, "a.jpg"), "a.jpg", rule=rule, ending=".txt") == [name]


def test_a_new_sidecar_is_called_as_most_in_the_library(tmp_path):
    touch(tmp_path, "a.jpg", "a.jpg.xmp", "b.jpg", "b.JPG.XMP", "c.jpg", "c.xmp", "d.jpg", "unrelated.xmp", "e.txt.xmp")
    assert named(tmp_path, *[f"{name}.jpg" for name in "abcd"]) == ["a.jpg.xmp", "b.JPG.XMP", "c.xmp", "d.jpg.xmp"]
    assert named(tmp_path, "d.jpg", rule="stem") == ["d.xmp"]


@pytest.mark.parametrize("there", ["a.xmp", "A.XMP", "a.jpg.xmp", "A.JPG.XMP", "a.jpg.Xmp"])
@pytest.mark.parametrize("rule", ["auto", "stem", "full"])
def test_a_sidecar_that_is_there_is_the_images_under_either_name_in_any_case(tmp_path, there, rule):
    assert named(touch(tmp_path, "a.jpg", there), "a.jpg", rule=rule) == [there]


@pytest.mark.parametrize("there", ["d.xmp", "d.jpg.xmp"])
def test_other_files_of_the_stem_do_not_hide_a_sidecar_in_another_case(tmp_path, there):
    assert named(touch(tmp_path, "D.JPG", there, "d.txt", "d.json"), "D.JPG") == [there]


@pytest.mark.parametrize("forms", list(itertools.permutations(["NFC", "NFD"])))
def test_a_sidecar_is_found_by_a_name_with_composed_and_decomposed_accents(tmp_path, forms):
    image, sidecar = (unicodedata.normalize(form, "caf\u00e9") for form in forms)
    assert named(touch(tmp_path, f"{image}.jpg", f"{sidecar}.xmp"), f"{image}.jpg") == [f"{sidecar}.xmp"]


def test_images_whose_names_differ_in_case_have_the_sidecars_that_are_spelt_like_them(tmp_path):
    touch(tmp_path, "IMG.jpg", "img.jpg", "img.xmp")
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("the file system takes the two for one")
    assert named(tmp_path, "IMG.jpg", "img.jpg") == ["IMG.jpg.xmp", "img.xmp"]


def test_images_of_one_stem_have_full_names_unless_they_share_one_that_is_there(tmp_path):
    touch(tmp_path, "a.jpg", "a.png", "b.jpg", "b.png", "b.xmp", "c.jpg", "c.mov")
    images = ["a.jpg", "a.png", "b.jpg", "b.png", "c.jpg"]
    assert named(tmp_path, *images) == ["a.jpg.xmp", "a.png.xmp", "b.xmp", "b.xmp", "c.xmp"]
    assert named(tmp_path, "a.jpg", rule="stem") == ["a.xmp"]


@pytest.mark.parametrize(
    ("says", "name"), [("CR2", "a.jpg.xmp"), (".cr2", "a.jpg.xmp"), ("JPG", "a.xmp"), ("NEF", "a.xmp"), (None, "a.xmp")]
)
@pytest.mark.parametrize("form", ['photoshop:SidecarForExtension="{}"', "<photoshop:SidecarForExtension>{}</photoshop:X>"])
def test_a_sidecar_says_itself_which_of_several_files_it_belongs_to(tmp_path, says, name, form):
    touch(tmp_path, "a.jpg", "a.CR2")
    (tmp_path / "a.xmp").write_text(form.format(says) if says else "")
    assert named(tmp_path, "a.jpg") == [name]


@pytest.mark.parametrize("rule", ["auto", "stem", "full"])
@pytest.mark.parametrize("order", list(itertools.permutations(["photo.jpg", "photo.jpg.jpg", "other.jpg"])))
def test_two_endings_in_a_name_mix_nothing_up_in_any_order_and_number_of_runs(fake, rule, order):
    folder = draw_each(fake / "photos", "photo.jpg", "photo.jpg.jpg", "other.jpg")
    for name in [*order, folder, folder]:
        assert invoked("caption", "-r", folder / name, "--xmp", "--sidecar-name", rule).exit_code == 0
    names = SidecarNames(".xmp", None, rule)
    for image in order:
        said = invoked("caption", folder / image).stdout.strip()
        assert XmpSidecar().read(names.path(folder / image, folder)) == said
    assert "3 skipped" in invoked("caption", "-r", folder, "--xmp").stderr


def test_a_photograph_with_two_endings_has_no_sidecar_that_one_which_comes_later_would_take(fake):
    folder = draw_each(fake / "photos", "photo.jpg.jpg")
    invoked("caption", "-r", folder, "--xmp")
    draw_each(folder, "x.png", "photo.jpg")
    done = invoked("caption", "-r", folder, "--xmp")
    assert "2 captioned in" in done.stderr
    assert "; 1 skipped: it has a caption" in done.stderr


def test_a_pair_that_shares_a_sidecar_costs_itself_and_its_caption_is_written_once(fake):
    folder = draw_each(fake / "photos", "a.jpg", "a.png", "b.jpg")
    for existing in ("append", "append", "overwrite"):
        done = invoked("caption", "-r", folder, "--sidecar", "txt", "--sidecar-name", "stem", "--existing", existing)
        assert done.exit_code == 0
    assert (folder / "a.txt").read_text() == invoked("caption", folder / "a.jpg").stdout
    assert (folder / "b.txt").exists()
    assert re.search("1 captioned in .*; 2 skipped|2 captioned in .*; 1 skipped", done.stderr)


def test_a_pair_that_shares_a_sidecar_with_a_persons_words_has_the_caption_added_once(fake):
    folder = draw_each(fake / "photos", "a.jpg", "a.png")
    (folder / "a.txt").write_text("tags\n")
    for _ in range(3):
        assert invoked("caption", "-r", folder, "--sidecar", "txt", "--existing", "append").exit_code == 0
    assert (folder / "a.txt").read_text() == f"tags, {invoked('caption', folder / 'a.jpg').stdout}"


def test_names_that_the_file_system_takes_for_one_are_named_before_anything_is_written(fake, monkeypatch):
    folder = draw_each(fake / "photos", "b.jpg", "B.jpg", "Trip/a.jpg", "trip/a.jpg")
    options = ("caption", "-r", folder, "--sidecar", "txt", "--output-dir", fake / "stick")
    monkeypatch.setattr(platform, "takes_for_one", lambda one, other: True)
    done = invoked(*options)
    assert done.exit_code == 2
    assert done.stderr.count("would share") == 2
    assert not (fake / "stick").exists()


def test_a_probe_tells_what_the_file_system_does_and_leaves_nothing(tmp_path):
    (tmp_path / "probe a").touch()
    ignores_case = (tmp_path / "PROBE A").exists()
    assert platform.takes_for_one(tmp_path / "new/a.txt", tmp_path / "new/A.txt") == ignores_case
    assert [path.name for path in tmp_path.iterdir()] == ["probe a"]


def test_a_rule_that_does_not_exist_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean full"):
        SidecarNames(".xmp", None, "ful")


def test_a_name_for_sidecars_needs_sidecars(fake):
    done = invoked("caption", fake, "--sidecar-name", "full")
    assert done.exit_code == 2
    assert "--sidecar-name" in done.stderr
