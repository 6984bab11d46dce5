"""``capgen doctor``, and ``capgen`` alone: what a person sees who does not know what to do next."""

import re
import shutil
import subprocess
import sys

import pytest
from support.commands import capgen

from capgen.captioner import bundle, catalogue
from capgen.cli import diagnostics
from capgen.registry import Registry
from capgen.training.encoders.encoder import EncoderSpec

FROM_ELSEWHERE = EncoderSpec("mine", "mine", {}, "my own server")


@pytest.fixture
def broken_captioner(user_folders):
    """A copy of the captioner that ships, named ``mine``, with one byte of its decoder changed."""
    mine = user_folders / "data/models/mine"
    shutil.copytree(catalogue.SHIPPED / catalogue.DEFAULT, mine)
    with (mine / bundle.DECODER).open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))
    return mine


def lines_of(title):
    """Return the lines of one section by name."""
    return {line.name: line for line in dict(diagnostics.run_checks())[title]}


@pytest.fixture
def only(monkeypatch):
    """Leave one section, so that the others take no time."""

    def leave(title):
        monkeypatch.setattr(diagnostics, "SECTIONS", {title: diagnostics.SECTIONS[title]})

    return leave


def test_all_is_well_here(user_folders):
    done = capgen("doctor")
    assert done.returncode == 0, done.stdout
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "all is well"
    for what in (
        "capgen",
        "Python",
        "tensorflow",
        "processors",
        "memory",
        "cache",
        "data",
        "vgg16",
        "photo-en-v1",
        "exiftool",
    ):
        assert re.search(rf"^  {what} +\S", done.stdout, re.MULTILINE), what


def test_the_report_is_plain_aligned_text(user_folders):
    text = capgen("doctor", env={"FORCE_COLOR": "1"}).stdout
    assert "\x1b" not in text
    assert {re.match(r"[ !] \S+( \S+)* +(?=\S)", line).end() for line in text.splitlines() if line[0] in " !"} == {22}


def test_the_self_check_shows_a_caption_and_its_time(user_folders):
    line = capgen("doctor").stdout.splitlines()[-2]
    assert re.fullmatch(r"  caption +'\w+( \w+)+', \d+\.\d\d s from start to end", line)


def test_the_photograph_inside_the_package_is_small():
    assert diagnostics.CHECK_IMAGE.stat().st_size <= 30_000


def test_no_tensorflow_is_loaded(user_folders):
    program = (
        "import sys; sys.argv = ['capgen', 'doctor']\n"
        "import atexit; atexit.register(lambda: print(sorted({'tensorflow', 'keras', 'rich'} & set(sys.modules))))\n"
        "from capgen.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_home_folder_is_not_shown(tmp_path):
    home = tmp_path / "ann"
    home.mkdir()
    unset = dict.fromkeys(("CAPGEN_CACHE_DIR", "CAPGEN_DATA_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME"), "")
    text = capgen("doctor", env={**unset, "HOME": str(home)}).stdout
    assert str(home) not in text
    assert "~/.cache/capgen, writable" in text
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("in /home/ann/x and /home/ann.", "in ~/x and ~."),
        ("'/home/ann'", "'~'"),
        ("/home/anna /data/home/ann/x", "/home/anna /data/home/ann/x"),
        ("a\nb\x1b[1m\udcff", r"a\nb\x1b[1m\udcff"),
    ],
)
def test_what_is_shown_is_one_line_without_the_home_folder(said, shown, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    assert diagnostics._public(said) == shown


def test_a_home_that_is_the_root_is_left_as_it_is(monkeypatch):
    monkeypatch.setenv("HOME", "/")
    assert diagnostics._public("/usr/bin") == "/usr/bin"


def test_a_damaged_captioner_is_named_with_what_to_do(broken_captioner):
    done = capgen("doctor")
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("! "))
    assert line.split()[1] == "mine"
    assert "decoder.tflite is not the file it was written with; train it again" in line
    assert done.stdout.splitlines()[-1] == "1 broken, marked with !"


def test_a_place_that_cannot_be_written_names_the_variable(user_folders, monkeypatch, only):
    only("folders")
    (user_folders / "file").write_text("")
    monkeypatch.setenv("CAPGEN_CACHE_DIR", str(user_folders / "file/cache"))
    lines = lines_of("folders")
    assert lines["cache"].failed
    assert "let CAPGEN_CACHE_DIR name another folder" in lines["cache"].text
    assert not lines["data"].failed


def test_a_check_that_raises_is_a_line_and_the_others_go_on(monkeypatch):
    def failing():
        raise ZeroDivisionError("by\nnothing")

    def checks():
        yield "one", failing
        yield "two", lambda: "fine"
        raise RuntimeError("and here")

    monkeypatch.setattr(diagnostics, "SECTIONS", {"first": checks, "second": lambda: iter([("three", lambda: "fine")])})
    found = dict(diagnostics.run_checks())
    assert [(line.name, line.failed) for line in found["first"]] == [("one", True), ("two", False), ("first", True)]
    assert r"ZeroDivisionError: by\nnothing" in found["first"][0].text
    assert found["second"] == [diagnostics.Line("three", "fine")]


def test_a_missing_package_says_how_to_get_it(monkeypatch, only):
    only("versions")
    monkeypatch.setattr(diagnostics, "PACKAGES", ("no-such", "no-matter"))
    requires = ["no-such>=1", 'no-matter>=1; extra == "test"']
    monkeypatch.setattr(diagnostics.importlib.metadata, "requires", lambda name: requires)
    lines = lines_of("versions")
    assert lines["no-such"] == diagnostics.Line("no-such", "is missing; get it with: pip install no-such", failed=True)
    assert not lines["no-matter"].failed


def test_weights_that_keras_has_fetched_are_found(tmp_path, monkeypatch, only):
    only("encoders")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert "to be fetched" in lines_of("encoders")["vgg16"].text
    (tmp_path / "models").mkdir()
    (tmp_path / "models/vgg16_weights_tf_dim_ordering_tf_kernels.h5").write_text("")
    assert "weights fetched" in lines_of("encoders")["vgg16"].text
    assert "to be fetched" in lines_of("encoders")["resnet50"].text


def test_every_encoder_that_keras_fetches_has_a_name_for_its_file():
    from capgen.training.encoders import ENCODERS

    for encoder in map(ENCODERS.__getitem__, ENCODERS):
        assert bool(encoder.keras_weights) == encoder.module.endswith(".applications"), encoder.name


def test_an_encoder_from_elsewhere_is_listed_with_its_origin(monkeypatch, only):
    from capgen.training import encoders

    only("encoders")
    monkeypatch.setattr(encoders, "ENCODERS", Registry("encoder", {"mine": f"{__name__}:FROM_ELSEWHERE"}))
    line = lines_of("encoders")["mine"]
    assert "my own server" in line.text
    assert not line.failed


def test_every_package_of_an_extra_is_shown(only):
    import tomllib

    from support.paths import ROOT

    from capgen.cli import optional_parts

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {extra: {re.split(r"[^\w.-]", entry)[0] for entry in entries} for extra, entries in extras.items()}
    used = {(package.extra, package.name) for package in optional_parts.PACKAGES}
    assert {(extra, name) for extra in set(named) - set(optional_parts.DEVELOPMENT) for name in named[extra]} == used
    for extra, packages in optional_parts.DEVELOPMENT.items():
        assert set(packages) == named[extra] - {"capgen"} - {name for _, name in used}, extra
    only("optional")
    lines = lines_of("optional")
    assert {name for _, name in used} | {"exiftool", "java", "chromium"} < set(lines)
    assert not any(line.failed for line in lines.values())


def test_a_package_or_program_that_is_missing_says_how_to_get_it(monkeypatch, only):
    from capgen.cli import optional_parts

    def missing(name):
        raise optional_parts.importlib.metadata.PackageNotFoundError(name)

    only("optional")
    monkeypatch.setattr(optional_parts.importlib.metadata, "version", missing)
    monkeypatch.setenv("PATH", "")
    lines = {name: line.text for name, line in lines_of("optional").items()}
    assert lines["gcsfs"] == "not installed; gs:// needs it: pip install 'capgen[remote]'"
    assert "pip install 'capgen[ray]'" in lines["ray"]
    assert "apt install default-jre-headless" in lines["java"]
    assert "pip install 'capgen[docs]'" in lines["extra 'docs'"]


def test_a_program_that_is_there_has_its_version(tmp_path, monkeypatch, only):
    only("optional")
    program = tmp_path / "java"
    program.write_text("#!/bin/sh\necho 'openjdk version \"21.0.4\" 2024-07-16' >&2\n")
    program.chmod(0o755)
    (tmp_path / "chromium").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "chromium").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    lines = lines_of("optional")
    assert lines["java"].text == f"21.0.4, for METEOR or SPICE, {program}"
    assert "does not say its version" in lines["chromium"].text


@pytest.mark.parametrize(("system", "processor", "libc", "words"), [
    ("linux", "x86_64", "glibc", "supported"),
    ("darwin", "arm64", "", "supported"),
    ("linux", "aarch64", "", "not supported: LiteRT and TensorFlow are made for Linux with glibc"),
    ("darwin", "x86_64", "", "not supported: LiteRT and TensorFlow are not made for Intel Macs"),
    ("linux", "riscv64", "glibc", "not for riscv64"),
    ("win32", "AMD64", "", "WSL"),
])  # fmt: skip
def test_whether_the_platform_is_supported_is_said(system, processor, libc, words, monkeypatch, only):
    from capgen.cli import optional_parts

    only("machine")
    monkeypatch.setattr(optional_parts.sys, "platform", system)
    monkeypatch.setattr(optional_parts.platform, "machine", lambda: processor)
    monkeypatch.setattr(optional_parts.platform, "libc_ver", lambda: (libc, ""))
    found = optional_parts.support()
    assert words in found
    assert (found == "supported") == (words == "supported")


def test_what_is_configured_is_shown_with_its_origin(user_folders, monkeypatch, only):
    only("configuration")
    monkeypatch.chdir(user_folders)
    monkeypatch.setenv("CAPGEN_XMP", "1")
    (user_folders / "capgen.toml").write_text('existing = "fill"\nsidecar = ".txt"\n')
    lines = lines_of("configuration")
    assert lines["your file"].text.endswith("config.toml, not there yet")
    assert lines["capgen.toml"].text == str(user_folders / "capgen.toml")
    assert lines["xmp"].text == "true, from CAPGEN_XMP"
    assert lines["existing"].text == f"fill, from {user_folders / 'capgen.toml'}"
    assert lines["sidecar"].text.endswith("does not hold: --xmp goes before it")
    monkeypatch.delenv("CAPGEN_XMP")
    monkeypatch.setenv("CAPGEN_MODEL", "nosuch")
    assert lines_of("configuration")["model"].failed


def test_a_configuration_that_cannot_be_read_is_broken(user_folders, monkeypatch, only):
    only("configuration")
    monkeypatch.chdir(user_folders)
    (user_folders / "capgen.toml").write_text("force = true\n")
    line = lines_of("configuration")["configuration"]
    assert line.failed
    assert "force is not a setting" in line.text


def test_a_missing_exiftool_is_no_fault_and_says_how_to_get_it(monkeypatch, only):
    only("optional")
    monkeypatch.setenv("PATH", "")
    line = lines_of("optional")["exiftool"]
    assert "apt install" in line.text
    assert not line.failed


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "SIGILL"),
        ("raise SystemExit('no library')", "no library"),
        ("print()", "the caption is empty"),
    ],
)
def test_a_self_check_that_fails_says_how(program, words, monkeypatch, only):
    only("self-check")
    monkeypatch.setattr(diagnostics, "_PROGRAM", program)
    line = lines_of("self-check")["caption"]
    assert line.failed
    assert words in line.text


def test_a_self_check_without_an_end_is_ended(monkeypatch, only):
    only("self-check")
    monkeypatch.setattr(diagnostics, "_PROGRAM", "import time; time.sleep(600)")
    monkeypatch.setattr(diagnostics, "CAPTION_TIMEOUT", 1.0)
    line = lines_of("self-check")["caption"]
    assert line.failed
    assert "no caption after" in line.text


def test_a_folder_of_the_same_name_in_the_working_folder_is_not_taken_for_capgen(user_folders):
    (user_folders / "capgen").mkdir()
    (user_folders / "numpy.py").write_text("raise ImportError")
    done = capgen("doctor", cwd=user_folders)
    assert done.returncode == 0, done.stdout


def test_the_command_alone_shows_the_steps_of_a_first_use():
    done = capgen()
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) <= 20
    commands = re.findall(r"^ +capgen (\w+)", done.stdout, re.MULTILINE)
    assert commands == ["caption", "prepare", "train", "evaluate", "caption"]
    assert "capgen --help" in done.stdout
    for command in set(commands):
        assert capgen(command, "--help").returncode == 0
