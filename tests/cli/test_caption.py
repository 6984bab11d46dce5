"""``capgen caption``, as a command."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from support.commands import capgen, here, refused
from support.paths import ROOT
from support.tools import bound_by_modes, require_tool
from typer.testing import CliRunner

from capgen.cli import app

EXAMPLES = ROOT / "examples"


@pytest.fixture
def library(captioner, tmp_path):
    folder = tmp_path / "library"
    (folder / "deep").mkdir(parents=True)
    for index, name in enumerate(("b.png", "a.png", "deep/c.PNG", ".hidden.png")):
        shutil.copy(captioner.source / f"images/{index:03}.png", folder / name)
    (folder / "notes.txt").write_text("not an image")
    return folder


def test_one_photograph_prints_the_caption_alone(captioner):
    done = captioner.process("caption", "--model", "shapes", captioner.source / "images/000.png")
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.strip() in {"a red circle on a pale ground", "there is a red circle"}


def test_several_print_path_tab_caption_in_the_order_given(captioner, library):
    done = captioner.run("caption", "-m", "shapes", library / "b.png", library / "a.png")
    paths = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert paths == [str(library / "b.png"), str(library / "a.png")]


def test_a_folder_is_captioned_recursively_in_a_stable_order_without_hidden_files(captioner, library):
    done = captioner.run("caption", "-m", "shapes", "--recursive", library)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [
        str(library / name) for name in ("a.png", "b.png", "deep/c.PNG")
    ]


def test_a_folder_without_recursive_is_captioned_without_the_folders_in_it(captioner, library):
    done = captioner.run("caption", "-m", "shapes", library)
    assert done.returncode == 0
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [str(library / "a.png"), str(library / "b.png")]
    assert "1 folder (--recursive)" in done.stderr


def test_alternatives_come_with_their_rank_and_their_confidence_the_best_first(captioner):
    done = captioner.run("caption", "-m", "shapes", "--num", "3", captioner.source / "images/000.png")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(rows) == len({caption for _, _, caption in rows}) == 3
    assert [rank for rank, _, _ in rows] == ["1", "2", "3"]
    assert all(0 < float(confidence) <= 1 and len(confidence) == len("0.123") for _, confidence, _ in rows)


def test_json_lines_carry_everything_a_program_needs(captioner, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff nothing")
    image = captioner.source / "images/000.png"
    done = captioner.run("caption", "-m", "shapes", "-f", "jsonl", image, broken)
    good, bad = map(json.loads, done.stdout.splitlines())
    assert good["path"] == str(image)
    assert good["status"] == "captioned"
    assert good["captions"] == [
        {
            "caption": good["caption"],
            "confidence": good["confidence"],
            "log_probability": good["captions"][0]["log_probability"],
        }
    ]
    assert bad["status"] == "unreadable"
    assert bad["caption"] is None
    assert bad["reason"]


def test_an_unreadable_file_is_named_and_the_others_are_captioned(captioner, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"")
    done = captioner.run("caption", "-m", "shapes", broken, tmp_path / "none.jpg", captioner.source / "images/000.png")
    assert done.returncode == 3
    assert len(done.stdout.splitlines()) == 1
    assert f"{broken}: it is empty" in done.stderr
    assert "none.jpg: no such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_passed_over_is_said_by_kind_and_number_in_the_summary_and_the_report(fake, captioner, tmp_path):
    folder = tmp_path / "library"
    folder.mkdir()
    shutil.copy(captioner.source / "images/000.png", folder / "a.png")
    for name in ("a.png_original", "b.png.part", "c.png.part", "clip.mov", "a.txt"):
        (folder / name).write_bytes(b"")
    done = here("caption", folder, "--report", tmp_path / "report.jsonl")
    assert done.returncode == 0
    assert done.stderr.endswith("; passed over: 2 unfinished files, 1 backup, 1 .mov file\n")
    rows = list(map(json.loads, (tmp_path / "report.jsonl").read_text().splitlines()))
    assert [(row["status"], row.get("reason")) for row in rows] == [
        ("captioned", ""), ("passed-over", "backup"), ("passed-over", "unfinished file"),
        ("passed-over", "unfinished file"), ("passed-over", "other file"),
    ]  # fmt: skip
    assert here("caption", folder, "--dry-run").stderr == "passed over: 2 unfinished files, 1 backup, 1 .mov file\n"


def test_files_of_which_none_is_a_photograph_are_a_failure_that_says_what_they_are(fake, tmp_path):
    for name in ("a.psd", "b.psd", "c.cr9"):
        (tmp_path / name).write_bytes(b"unknown")
    done = here("caption", "--quiet", tmp_path, "--exclude", "data")
    refused(done, "no photographs found", "2 .psd files, 1 .cr9 file")
    refused(here("caption", tmp_path / "*.psd"), "no image matches", "2 .psd files", code=2)


def test_captions_never_land_among_photographs_by_accident(fake, captioner, tmp_path):
    shutil.copy(captioner.source / "images/000.png", tmp_path / "a.png")
    for folder in (tmp_path, f"{tmp_path}/"):
        refused(here("caption", tmp_path, "--output", folder), "photographs", "name another folder", code=2)
    refused(here("caption", tmp_path, "--output", tmp_path, "--format", "csv"), "is a folder", code=2)


@pytest.mark.parametrize("closed", ["2>&-", "2>&- 0<&-", "2>&- >&-"])
def test_captioning_works_where_standard_streams_are_closed(fake, captioner, tmp_path, closed):
    output = tmp_path / "captions.jsonl"
    program = Path(sys.executable).with_name("capgen")
    image = captioner.source / "images/000.png"
    done = subprocess.run(["bash", "-c", f"{program} caption {image} {image} --output {output} {closed}"], check=False)
    assert done.returncode == 0
    assert len(output.read_text().splitlines()) == 1


def test_a_closed_standard_output_is_named(fake, captioner):
    program = Path(sys.executable).with_name("capgen")
    command = f"{program} caption {captioner.source / 'images/000.png'} >&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    refused(done, "the standard output is closed", "--output", code=2)


def test_a_dry_run_does_not_pretend_to_write_a_report(fake, captioner, tmp_path):
    done = here("caption", captioner.source / "images", "--dry-run", "--report", tmp_path / "report.jsonl")
    refused(done, "--dry-run writes nothing", "--report", code=2)


def test_names_in_reasons_and_among_what_is_passed_over_are_escaped(fake, captioner, tmp_path):
    shutil.copy(captioner.source / "images/000.png", tmp_path / "a\x1b[31m.png")
    (tmp_path / "a\x1b[31m.txt").mkdir()
    (tmp_path / "b.\x1b[31m").write_text("none")
    done = here("caption", "-r", tmp_path, "--sidecar", "txt")
    assert done.returncode == 3
    assert "\x1b" not in done.stderr
    assert done.stderr.count(r"\x1b[31m") == 3


def test_a_list_from_a_closed_standard_input_is_empty(fake):
    program = Path(sys.executable).with_name("capgen")
    done = subprocess.run(["bash", "-c", f"{program} caption - <&-"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("no photographs found")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_device_is_named_where_captions_are_printed_and_costs_only_messages_elsewhere(fake, captioner, tmp_path):
    program = Path(sys.executable).with_name("capgen")
    images = [shutil.copy(captioner.source / "images/000.png", tmp_path / name) for name in ("a.png", "b.png")]
    command = f"{program} caption {' '.join(map(str, images))}"
    for form in ("text", "coco"):
        done = subprocess.run(
            ["bash", "-c", f"{command} --format {form} >/dev/full"], capture_output=True, text=True, check=False
        )
        refused(done, "cannot write the standard output", "no space left", "--output")
    done = subprocess.run(["bash", "-c", f"{command} --sidecar txt 2>/dev/full"], check=False)
    assert done.returncode == 0
    assert all(Path(image).with_suffix(".txt").exists() for image in images)
    done = subprocess.run(["bash", "-c", f"{program} models list >/dev/full"], capture_output=True, text=True, check=False)
    refused(done, "no space is left")


def test_what_is_wrong_with_a_folder_that_may_not_be_listed_is_the_same_whatever_is_written(fake, captioner, tmp_path):
    require_tool("exiftool")
    shutil.copy(captioner.source / "images/000.png", tmp_path / "a.png")
    (tmp_path / "shut").mkdir(mode=0)
    with bound_by_modes():
        said = [here("caption", "-r", tmp_path, "--quiet", option) for option in ("--embed", "--xmp")]
    assert [done.returncode for done in said] == [3, 3]
    assert said[0].stderr == said[1].stderr
    assert f"{tmp_path / 'shut'}: " in said[0].stderr


def test_backups_are_never_embedded_into_even_if_they_are_named(fake, captioner, tmp_path):
    require_tool("exiftool")
    backup = tmp_path / "a.png_original"
    shutil.copy(captioner.source / "images/000.png", backup)
    before = backup.read_bytes()
    done = here("caption", backup, "--embed", "--existing", "overwrite", "--force")
    assert done.returncode == 3
    assert "another program's" in done.stderr
    assert backup.read_bytes() == before


def test_a_file_is_read_by_content_not_by_name(captioner, tmp_path):
    disguised = tmp_path / "photograph.txt"
    shutil.copy(captioner.source / "images/000.png", disguised)
    assert captioner.run("caption", "-m", "shapes", disguised).returncode == 0


def test_many_files_are_all_captioned_in_order(captioner):
    done = captioner.run("caption", "-m", "shapes", "--beam", "1", "-r", captioner.source)
    paths = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert len(paths) == 60
    assert paths == sorted(paths)


def test_the_captions_do_not_depend_on_the_batch(captioner):
    together = captioner.run("caption", "-m", "shapes", "-r", captioner.source).stdout.splitlines()
    for line in together[:3]:
        path, caption = line.split("\t")
        assert captioner.run("caption", "-m", "shapes", path).stdout.strip() == caption


def test_an_unknown_captioner_offers_the_nearest(captioner):
    done = captioner.run("caption", "-m", "shape", EXAMPLES / "cat.jpg")
    assert done.returncode == 2
    assert "did you mean shapes" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", ["bundle.json", "vocabulary.json", "encoder.tflite", "decoder.tflite"])
def test_a_changed_byte_is_found_and_the_file_named(captioner, tmp_path, name, share):
    changed = tmp_path / "changed"
    shutil.copytree(captioner.folder / "user/models/shapes", changed)
    data = bytearray((changed / name).read_bytes())
    data[int(len(data) * share)] ^= 1
    (changed / name).write_bytes(data)
    done = captioner.run("caption", "-m", changed, EXAMPLES / "cat.jpg")
    assert done.returncode == 1
    assert name in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_captioning_imports_neither_tensorflow_nor_keras_nor_rich(captioner):
    program = (
        "import sys; sys.argv = ['capgen', 'caption', '-m', 'shapes', sys.argv[1]]\n"
        "import atexit; atexit.register(lambda: print(sorted({'tensorflow', 'keras', 'rich'} & set(sys.modules))))\n"
        "from capgen.cli import main; main()"
    )
    import os

    done = subprocess.run(
        [sys.executable, "-c", program, captioner.source / "images/000.png"],
        env={**os.environ, **captioner.env}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_and_version_import_nothing_heavy():
    program = (
        "import sys; sys.argv = ['capgen', *sys.argv[1:]]\n"
        "import atexit; heavy = {'tensorflow', 'keras', 'rich', 'numpy', 'PIL', 'ai_edge_litert', 'pydantic'}\n"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules))))\n"
        "from capgen.cli import main; main()"
    )
    for flags in (["--help"], ["caption", "--help"], ["help", "train"], ["--version"]):
        done = subprocess.run([sys.executable, "-c", program, *flags], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_goes_away_is_no_traceback(captioner):
    import os

    command = f"{sys.executable} -m capgen caption -m shapes --beam 1 -r {captioner.source} | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], env={**os.environ, **captioner.env}, capture_output=True, text=True, check=True
    )
    assert "Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_no_arguments_is_a_usage_error():
    assert capgen("caption").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "named", "offered"),
    [
        (["caption", "--beam", "0", "cat.jpg"], "'--beam'", "caption --help"),
        (["caption", "--bem", "3"], "--beam", "caption --help"),
        (["caption", "--format"], "'--format'", "caption --help"),
        (["captoin", "cat.jpg"], "'captoin'", "capgen --help"),
        (["--beam", "3"], "--beam", "capgen --help"),
        (["models", "show"], "'NAME'", "models show --help"),
        (["models", "shwo"], "'shwo'", "models --help"),
        (["a\nb\x1b[31m"], "no such command", "capgen --help"),
        (["models", "cat.jpg"], "'cat.jpg'", "models --help"),
        (["caption", "--existing", "keep"], "'keep' is not one of 'skip', 'fill', ", "caption --help"),
        (["caption", "--format", "parqet"], "'text', 'jsonl', 'csv', 'coco', 'parquet', 'tar'", "caption --help"),
        (["caption", "--engine", "rya"], "'rya' is not one of 'local', 'ray'", "caption --help"),
        (["captoin", "cat.jpg"], "there are caption, prepare, train, ", "capgen --help"),
        (["cache", "clean"], "'clean'; there are dir, size, prune and clear", "cache --help"),
        (["help", "captoin"], "'captoin'", "capgen --help"),
    ],
)
def test_wrong_usage_is_reported_in_one_line(arguments, named, offered):
    done = CliRunner().invoke(app, arguments, prog_name="capgen")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("capgen: ")
    assert named in done.stderr
    assert "\x1b" not in done.stderr
    assert done.stderr.endswith(f"{offered} tells more\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["caption", "cat.jpg", "--explain", "a.png", "-r", "--num", "2", "--beam", "1"], "--recursive and --num"),
        (["caption", "cat.jpg", "--explain", "a.png", "--existing", "skip", "--xmp"], "--xmp and --existing"),
        (["train", "shapes", "--resume", "--epochs", "3", "--overwrite"], "--epochs and --overwrite"),
        (["train", "shapes", "--resume", "--set", "epochs=3", "--devices", "1", "-q"], "--set"),
    ],
)
def test_options_that_would_have_no_effect_are_named(user_folders, arguments, named):
    refused(here(*arguments), f"leave out {named}\n", code=2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--num", "3", "--sidecar", ".txt", "--xmp"],
            "with --sidecar and --xmp there is room for one caption",
        ),
        (["--temperature", "0.7", "--beam", "3"], "and not for words sampled with --temperature; leave one out"),
        (["--temperature", "1", "--top-p", "0.5", "--beam", "1"], "sampled with --temperature and --top-p; leave one out"),
        (["--explain", "a.png", "--top-p", "0.5", "--beam", "1"], "sampled with --top-p; leave one out"),
        (["--existing", "overwrite", "--force"], "nothing to do for --existing and --force; leave it out"),
        (["--sidecar", ".txt", "--force"], "--existing skip replaces nothing, also with --force"),
        (["--workers", "2"], "--workers is about --engine ray"),
    ],
)
def test_an_option_that_would_be_ignored_beside_others_is_refused_by_name(user_folders, options, said):
    refused(here("caption", "cat.jpg", *options), said, code=2)


def test_options_that_others_give_room_are_not_refused(captioner, tmp_path):
    photo = tmp_path / "a.png"
    photo.write_bytes((captioner.source / "images/000.png").read_bytes())
    file, more = tmp_path / "all.csv", ("--temperature", "0", "--beam", "3")
    done = captioner.run("caption", photo, "-m", "shapes", "--num", "2", "--sidecar", ".txt", "--output", file, *more)
    assert done.returncode == 0, done.stderr
    assert len(file.read_text().splitlines()) == 3
    assert len((tmp_path / "a.txt").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["photo.jpg"], "capgen caption photo.jpg"),
        (["my photo.HEIC", "--sidecar", ".txt"], "capgen caption 'my photo.HEIC' ..."),
        ([str(ROOT)], f"capgen caption {ROOT}"),
        (["s3://bucket/photos/", "-r"], "capgen caption s3://bucket/photos/ ..."),
    ],
)
def test_a_photograph_in_the_place_of_a_command_says_what_to_type(arguments, command):
    refused(here(*arguments), f"type: {command}\n", code=2)


def test_the_name_of_a_group_alone_shows_its_help():
    done = CliRunner().invoke(app, ["models"])
    assert done.exit_code == 2
    assert "export" in done.output


@pytest.mark.parametrize(
    ("command", "typed", "offered"),
    [
        ("caption", "--temprature", "--temperature"),
        ("caption", "--min_words", "--min-words"),
        ("caption", "--temp", "--temperature"),
        ("train", "--resum", "--resume"),
    ],
)
def test_an_option_is_offered_for_a_slip_of_the_keys(command, typed, offered):
    done = CliRunner().invoke(app, [command, typed], prog_name="capgen")
    assert f"no such option: {typed}; did you mean {offered}? capgen" in done.stderr


@pytest.mark.parametrize(
    ("command", "typed"),
    [
        ("caption", "--device"), ("caption", "--lang"), ("caption", "--no-force"), ("caption", "--no-recursive"),
        ("train", "--override"), ("train", "--no-overwrite"), ("caption", "--existing=replace"),
    ],
)  # fmt: skip
def test_an_option_that_is_merely_alike_is_not_offered(command, typed):
    done = CliRunner().invoke(app, [command, typed, "cat.jpg"], prog_name="capgen")
    assert done.exit_code == 2
    assert "did you mean" not in done.stderr


def plain(*arguments):
    done = here(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("typed", "means"),
    [
        (["help"], ["--help"]), (["help", "caption"], ["caption", "--help"]), (["version"], ["--version"]),
        (["models", "help"], ["models", "--help"]), (["help", "models", "show"], ["models", "show", "--help"]),
    ],
)  # fmt: skip
def test_help_and_version_may_be_asked_for_like_commands(typed, means):
    assert plain(*typed) == plain(*means)


def test_the_help_of_caption_has_all_options_in_groups_and_ends_with_examples():
    from capgen.cli.caption_options import EXAMPLES, GROUPS

    command = typer.main.get_command(app).commands["caption"]
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted([*(parameter.name for parameter in command.params), "help"])
    text = plain("caption", "--help")
    starts = [text.index(f"\n{title}:\n") for title in (*GROUPS, "Examples")]
    assert starts == sorted(starts)
    assert text.splitlines()[-2:] == [f"  {example}" for example in EXAMPLES]


@pytest.mark.parametrize("columns", [80, 120])
def test_help_is_as_wide_as_the_terminal(columns):
    done = capgen("caption", "--help", env={"COLUMNS": str(columns)})
    assert columns - 10 < max(map(len, done.stdout.splitlines())) <= columns


def test_help_says_kinds_choices_defaults_and_ranges_in_plain_words():
    text = " ".join(plain("caption", "--help").split())
    for words in (
        "--existing skip|fill|outdated|overwrite|append|prepend Keep",
        "--format text|jsonl|csv|coco|parquet|tar text, jsonl",
        "--engine local|ray Where",
        "--temperature NUMBER Sample",
        "[default: 0; 0 to 10]",
        "--suppress, --avoid WORD Captions do not contain WORD. [repeatable]",
        "The captioner that ships writes English.",
    ):
        assert words in text
    for command in ("caption", "prepare", "train", "evaluate", "score", "merge"):
        assert not re.search(r"<|>=|<=|list\[", plain(command, "--help"))
