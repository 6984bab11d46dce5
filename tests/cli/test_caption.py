"""``capgen caption``, as a command."""

import json
import shutil
import subprocess
import sys

import pytest
from support.commands import capgen
from support.paths import ROOT
from typer.testing import CliRunner

from capgen.cli import app

EXAMPLES = ROOT / "examples"


@pytest.fixture
def library(captioner, tmp_path):
    folder = tmp_path / "library"
    (folder / "deep").mkdir(parents=True)
    for index, name in enumerate(("b.png", "a.png", "deep/c.PNG", ".hidden.png")):
        shutil.copy(captioner.source / f"images/{index:03}.png", folder / name)
    (folder / "notes.txt").write_text("no picture")
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


def test_a_folder_without_recursive_says_so(captioner, library):
    done = captioner.run("caption", "-m", "shapes", library)
    assert done.returncode == 3
    assert "--recursive" in done.stderr


def test_alternatives_come_with_their_confidence_the_best_first(captioner):
    done = captioner.run("caption", "-m", "shapes", "--num", "3", captioner.source / "images/000.png")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(rows) == len({caption for _, caption in rows}) == 3
    assert all(0 < float(confidence) <= 1 for confidence, _ in rows)


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
    assert f"{broken}: unsupported" in done.stderr
    assert "none.jpg: vanished" in done.stderr
    assert "Traceback" not in done.stderr


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
        "import sys; sys.argv = ['capgen', sys.argv[1]]\n"
        "import atexit; heavy = {'tensorflow', 'keras', 'rich', 'numpy', 'PIL', 'ai_edge_litert'}\n"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules))))\n"
        "from capgen.cli import main; main()"
    )
    for flag in ("--help", "--version"):
        done = subprocess.run([sys.executable, "-c", program, flag], capture_output=True, text=True, check=True)
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
    ],
)
def test_wrong_usage_is_told_in_one_line(arguments, named, offered):
    done = CliRunner().invoke(app, arguments, prog_name="capgen")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("capgen: ")
    assert named in done.stderr
    assert "\x1b" not in done.stderr
    assert done.stderr.endswith(f"{offered} tells more\n")


def test_the_name_of_a_group_alone_shows_its_help():
    done = CliRunner().invoke(app, ["models"])
    assert done.exit_code == 2
    assert "export" in done.output
