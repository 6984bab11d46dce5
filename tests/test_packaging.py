"""What is handed on: a wheel, an sdist and a container image, each with all that captioning needs and nothing else."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from support.commands import here
from support.drawing import draw_dataset
from support.paths import ROOT

CAPTION = "a cat sitting on top of a window\n"
"""What README shows for ``examples/cat.jpg``."""

LARGEST_WHEEL, LARGEST_IMAGE = 95_000_000, 500_000_000
"""Bytes: indexes take files of up to 100 MB; what the container image may have unpacked."""

TRAINING_ONLY = re.search(r"re\.match\('(.*?)'", (ROOT / "Dockerfile").read_text())[1].split("|")
"""The packages that the container image leaves out."""


def run(*command, **options):
    """Run a program that must succeed, without what this run of the tests has in its environment; return its stdout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)),
        env=environment | options.pop("env", {}),
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The wheel and the sdist of this checkout, built in a copy: a build leaves files in the folder that it is run in."""
    folder = tmp_path_factory.mktemp("source")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    run(sys.executable, "-m", "build", "--no-isolation", folder)  # the wheel is built from the sdist
    built = {path.suffix: path for path in (folder / "dist").iterdir()}
    assert set(built) == {".whl", ".gz"}
    return built


@pytest.fixture(params=[".whl", ".gz"], ids=["wheel", "sdist"])
def environment(request, distributions, tmp_path):
    """A virtual environment with a distribution, which takes all other packages from the one that the tests run in."""
    folder = tmp_path / "environment"
    venv.create(folder)
    python = folder / "bin/python"
    site_packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site_packages / "others.pth").write_text("".join(f"{path}\n" for path in sys.path if path.endswith("site-packages")))
    run(
        sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-build-isolation",
        "--ignore-installed", distributions[request.param],
    )  # fmt: skip
    assert Path(run(python, "-c", "import capgen; print(capgen.__file__)", cwd=tmp_path).strip()).is_relative_to(folder)
    return folder


def hashes(folder):
    """Return the SHA-256 of each file of the package in a folder."""
    files = (path for path in (folder / "capgen").rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_wheel_and_sdist_hold_the_package_and_what_describes_it(distributions):
    package = set(hashes(ROOT))
    with zipfile.ZipFile(distributions[".whl"]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == package
    assert distributions[".whl"].stat().st_size < LARGEST_WHEEL
    with tarfile.open(distributions[".gz"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames() if sdist.getmember(name).isfile()}
    described = {"LICENSE", "MANIFEST.in", "NOTICE", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg"}
    assert {name for name in names if ".egg-info/" not in name} == package | described
    assert distributions[".gz"].stat().st_size < LARGEST_WHEEL


@pytest.mark.slow
def test_an_installed_distribution_is_the_checkout_and_captions(environment, user_folders):
    [site_packages] = (environment / "lib").glob("python*/site-packages")
    assert hashes(site_packages) == hashes(ROOT)
    assert run(environment / "bin/capgen", "caption", ROOT / "examples/cat.jpg", cwd=user_folders) == CAPTION
    without = f"import sys; sys.modules.update(dict.fromkeys({TRAINING_ONLY})); from capgen.cli import main; main()"
    cat = shutil.copy(ROOT / "examples/cat.jpg", user_folders)
    run(environment / "bin/python", "-c", without, "caption", cat, "--sidecar", ".txt", "--xmp", cwd=user_folders)
    assert (user_folders / "cat.txt").read_text() == CAPTION


def test_without_tensorflow_one_line_says_what_to_install(user_folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    done = here("prepare", draw_dataset(user_folders / "shapes", 10), "--quiet")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install tensorflow" in done.stderr


def has_docker():
    """Tell whether images can be built here: the program is there, and its daemon answers."""
    return (
        bool(shutil.which("docker")) and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.slow
def test_the_container_image_captions_offline_as_the_caller(user_folders):
    if not has_docker():
        pytest.skip("there is no Docker here; scripts/check lints the Dockerfile")
    run("docker", "build", "--quiet", "--tag", "capgen-test", ROOT)
    assert int(run("docker", "image", "inspect", "--format", "{{.Size}}", "capgen-test")) < LARGEST_IMAGE
    photos = user_folders / "photos"
    photos.mkdir()
    shutil.copy(ROOT / "examples/cat.jpg", photos)
    caller = f"{os.getuid() or 12345}:{os.getgid() or 12345}"
    os.chown(photos, *map(int, caller.split(":")))
    contained = ("docker", "run", "--rm", "--network", "none", "--volume", f"{photos}:/photos")
    assert run(*contained, "capgen-test", "caption", "cat.jpg") == CAPTION
    run(*contained, "--user", caller, "capgen-test", "caption", "-r", ".", "--sidecar", ".txt")
    assert (photos / "cat.txt").read_text() == CAPTION
    assert f"{(photos / 'cat.txt').stat().st_uid}:{(photos / 'cat.txt').stat().st_gid}" == caller
