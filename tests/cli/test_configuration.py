"""``capgen config``, and the defaults of one's own that it sets: which of them hold, and what a stranger's cannot do."""

import shutil

import pytest
from support.commands import capgen, here, refused
from support.paths import ROOT

from capgen.cli import configuration

CAT = ROOT / "examples/cat.jpg"


@pytest.fixture
def library(fake, monkeypatch):
    """A folder with a photograph, in an empty working folder, captioned by the ``fake`` backend."""
    (fake / "photos").mkdir()
    shutil.copy(CAT, fake / "photos")
    monkeypatch.chdir(fake)
    return fake / "photos"


def caption(*arguments, env=None):
    return here("caption", *arguments, env=env)


def config(*arguments):
    done = here("config", *arguments)
    assert done.returncode == 0, done.stderr
    return done


def planned(*arguments, env=None):
    """What would be written, as file names."""
    done = caption("--dry-run", *arguments, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_set_holds_until_it_is_unset(library):
    config("set", "prefix", "Look:")
    assert caption(library / "cat.jpg").stdout.startswith("Look: ")
    assert config("get", "prefix").stdout == "Look:\n"
    config("unset", "prefix")
    assert not caption(library / "cat.jpg").stdout.startswith("Look:")
    assert here("config", "get", "prefix").returncode == 1


def test_what_is_typed_goes_before_a_variable_that_before_a_folder_and_that_before_ones_own(library):
    config("set", "prefix", "own")
    config("set", "--folder", library, "prefix", "folder")
    assert caption(library / "cat.jpg").stdout.startswith("folder ")
    assert caption(library / "cat.jpg", env={"CAPGEN_PREFIX": "variable"}).stdout.startswith("variable ")
    assert caption(library / "cat.jpg", "--prefix", "typed", env={"CAPGEN_PREFIX": "variable"}).stdout.startswith("typed ")
    (library / "capgen.toml").unlink()
    assert caption(library / "cat.jpg", env={"CAPGEN_PREFIX": ""}).stdout.startswith("own ")


def test_the_file_of_the_photographs_goes_before_that_of_the_working_folder(library):
    config("set", "--folder", library.parent, "prefix", "here")
    assert caption(library / "cat.jpg").stdout.startswith("here ")
    config("set", "--folder", library, "prefix", "there")
    assert caption(library / "cat.jpg").stdout.startswith("there ")
    assert caption(library / "*.jpg").stdout.splitlines()[0].split("\t")[-1].startswith("there ")


def test_the_file_is_found_far_above(library):
    config("set", "--folder", library, "prefix", "there")
    deep = library.joinpath(*["a"] * 1200)
    found, _ = configuration.folder_file([str(deep / "cat.jpg")])
    assert found == library / "capgen.toml"


def test_photographs_of_two_libraries_follow_neither(library):
    other = library.parent / "other"
    shutil.copytree(library, other)
    config("set", "--folder", library, "prefix", "there")
    done = caption(library / "cat.jpg", other / "cat.jpg")
    assert "there " not in done.stdout
    assert f"{library / 'capgen.toml'} is not used" in done.stderr


def test_what_a_folder_sets_is_said_unless_quiet(library):
    config("set", "--folder", library, "sidecar", ".txt")
    done = caption(library)
    assert (library / "cat.txt").exists()
    assert f"{library / 'capgen.toml'} sets --sidecar .txt" in done.stderr
    assert caption("--quiet", library).stderr == ""


def test_a_flag_that_is_set_is_taken_back_by_a_variable(library):
    config("set", "xmp", "true")
    assert "cat.xmp" in planned(library)
    assert "cat.xmp" not in planned(library, env={"CAPGEN_XMP": "0"})


@pytest.mark.parametrize("typed", [("--output", "x.csv"), ("--xmp",), ("--format", "jsonl")])
def test_where_captions_are_typed_to_go_no_setting_adds_to_it(library, typed):
    config("set", "sidecar", ".txt")
    assert caption(library / "cat.jpg", *typed).returncode == 0
    assert not (library / "cat.txt").exists()


def test_no_sidecar_is_set_for_images_in_an_archive(library):
    config("set", "sidecar", ".txt")
    archive = shutil.make_archive(library.parent / "photos", "zip", library)
    assert caption(archive).stdout.count("\t") == 1


def test_settings_do_not_contradict_what_is_typed(library):
    for key, value in {"beam": "2", "existing": "overwrite", "sidecar-name": "full", "prefix": "Look:"}.items():
        config("set", key, value)
    assert caption(library / "cat.jpg").returncode == 0
    assert caption(library / "cat.jpg", "--temperature", "1").returncode == 0
    (library.parent / "lines.jsonl").write_text("")
    sheet = library.parent / "sheet.png"
    assert "leave out" not in caption(library / "cat.jpg", "--explain", sheet).stderr


def test_the_captioner_that_is_set_scores_and_is_evaluated(library):
    env = {"CAPGEN_MODEL": "nosuch"}
    references = library / "captions.csv"
    references.write_text("image,caption,split\ncat.jpg,a cat on a sofa,test\n")
    for command in (("caption", CAT), ("score", CAT, "a cat"), ("evaluate", "--references", references)):
        done = here(*command, env=env)
        assert "there is no captioner named 'nosuch'" in done.stderr
        assert "--model is set in CAPGEN_MODEL" in done.stderr


def test_the_default_captioner_is_not_shown_as_the_one_in_use_where_another_is_set(user_folders):
    done = here("models", "default", env={"CAPGEN_MODEL": "mine"})
    assert done.stdout == "photo-en-v1\n"
    assert done.stderr == "caption, score and evaluate use mine here: model is set in CAPGEN_MODEL\n"


def test_an_error_names_where_an_option_was_set_that_was_not_typed(library):
    (library / "capgen.toml").write_text('sidecar = ".jpg"')
    done = caption(library)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(f"--sidecar is set in {library / 'capgen.toml'}")


@pytest.mark.parametrize(("line", "words"), [
    ("embed = true", "changes the photographs"),
    ("hidden = true", "hidden is not set here"),
    ("follow-links = true", "leads out of the folder"),
    ('existing = "overwrite"', "captions that are there would change"),
    ('existing = "prepend"', "captions that are there would change"),
    ("force = true", "typed for each run"),
    ('output = "/tmp/x"', "typed for each run"),
    ('output-dir = "/tmp"', "typed for each run"),
    ('report = "x"', "typed for each run"),
    ('engine = "ray"', "typed for each run"),
    ('address = "evil:1"', "typed for each run"),
    ('model = "./evil"', "only their names"),
    ('model = "evil"', "only their names"),
    (r'prefix = "\u001b[2J"', "control a terminal"),
    (r'suppress = ["\u0007"]', "control a terminal"),
])  # fmt: skip
def test_a_stranger_cannot_set_what_is_dangerous(library, line, words):
    evil = library / "evil"
    evil.mkdir()
    (evil / "bundle.json").write_text("{}")
    (library / "capgen.toml").write_text(line)
    refused(caption(library), f"{library / 'capgen.toml'}: ", words, code=2)
    assert sorted(path.name for path in library.iterdir()) == ["capgen.toml", "cat.jpg", "evil"]


def test_a_captioner_that_lies_in_the_working_folder_is_not_taken_for_ones_own(library, monkeypatch):
    shutil.copytree(library.parent / "data/models", library / "models")
    monkeypatch.chdir(library / "models")
    name = next((library / "models").iterdir()).name
    (library / "capgen.toml").write_text(f'model = "{name}"')
    refused(caption(library / "cat.jpg"), "only their names", code=2)


def test_a_stranger_does_not_choose_which_captions_ones_own_policy_replaces(library):
    config("set", "existing", "overwrite")
    config("set", "--folder", library, "sidecar", ".txt")
    (library / "cat.txt").write_text("a person's")
    assert caption(library).returncode == 0
    assert (library / "cat.txt").read_text() == "a person's"
    assert "not with sidecar of capgen.toml" in capgen("config", cwd=library).stdout
    caption(library, "--existing", "overwrite")
    assert (library / "cat.txt").read_text() != "a person's"


@pytest.mark.parametrize(("text", "words"), [
    ("sidecar = txt", "is not TOML"),
    ("sidecar = 3", "give a text in quotes"),
    ("recursive = 1", "true or false"),
    ('suppress = "dog"', "a list of texts"),
    ("suppress = [1]", "a list of texts"),
    ("beam = 99", "beam = 99 does not fit"),
    ("beam = true", "a whole number"),
    ('existing = "keep"', "existing = 'keep' does not fit"),
    ('sidcar = ".txt"', "did you mean sidecar"),
    ('[caption]\nsidecar = ".txt"', "leave out the line [caption]"),
])  # fmt: skip
def test_a_file_that_does_not_fit_is_one_line_that_names_it(library, text, words):
    file = library.parent / "config/config.toml"
    file.parent.mkdir()
    file.write_text(text)
    refused(caption(library), str(file), words, code=2)
    refused(here("config"), str(file), words, code=2)
    assert here("caption", "--help").returncode == 0


def test_a_variable_that_does_not_fit_is_named(library):
    refused(caption(library, env={"CAPGEN_BEAM": "many"}), "CAPGEN_BEAM", "'many'", code=2)


def test_a_file_with_a_byte_order_mark_is_read(library):
    (library / "capgen.toml").write_bytes(b'\xef\xbb\xbfprefix = "Look:"\r\n')
    assert caption(library / "cat.jpg").stdout.startswith("Look: ")


@pytest.mark.parametrize(("arguments", "words"), [
    (("sidecar", "jpg"), "ending of images"),
    (("format", "xlsx"), "'xlsx' is not one of 'text', "),
        (("format", "tar"), "no format named 'tar'"),
    (("model", "nosuch"), "no captioner named 'nosuch'"),
    (("beam", "0"), "beam = '0' does not fit"),
    (("xmp", "maybe"), "xmp = 'maybe' does not fit"),
    (("prefix", "A", "photo"), "put it in quotes"),
    (("force", "true"), "typed for each run"),
    (("sidcar", ".txt"), "did you mean sidecar"),
])  # fmt: skip
def test_what_does_not_fit_is_not_set(user_folders, arguments, words):
    refused(here("config", "set", *arguments), words, code=2)
    assert not (user_folders / "config").exists()


def test_comments_and_order_in_a_file_stay(user_folders):
    file = user_folders / "config/config.toml"
    file.parent.mkdir()
    file.write_text('# mine\nprefix = "a"  # first\n\nsuppress = [\n  "dog",  # never\n]\n')
    config("set", "prefix", "b")
    config("set", "suppress", "cat", "bird")
    config("set", "xmp", "true")
    found = list(filter(None, file.read_text().splitlines()))
    assert found == ["# mine", 'prefix = "b"  # first', 'suppress = ["cat", "bird"]', "xmp = true"]


def test_a_linked_file_stays_a_link(user_folders):
    (user_folders / "config").mkdir()
    (user_folders / "dotfiles.toml").write_text("")
    (user_folders / "config/config.toml").symlink_to(user_folders / "dotfiles.toml")
    config("set", "beam", "2")
    assert (user_folders / "config/config.toml").is_symlink()
    assert (user_folders / "dotfiles.toml").read_text() == "beam = 2\n"


def test_what_holds_and_why_is_shown(library):
    config("set", "existing", "fill")
    config("set", "xmp", "true")
    (library.parent / "capgen.toml").write_text('sidecar = ".txt"\n')
    shown = {line.split()[0]: line for line in capgen("config", env={"CAPGEN_BEAM": "3"}, cwd=library).stdout.splitlines()}
    assert shown["beam"].split() == ["beam", "3", "CAPGEN_BEAM"]
    assert shown["sidecar"].split() == ["sidecar", ".txt", str(library.parent / "capgen.toml")]
    assert shown["existing"].split()[1] == "fill"
    assert shown["xmp"].endswith("--sidecar goes before it")


def test_where_ones_own_file_is(user_folders):
    assert config("path").stdout == f"{user_folders / 'config/config.toml'}\n"
