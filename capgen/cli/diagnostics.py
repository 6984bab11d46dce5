"""The checks of ``capgen doctor``: what is installed and whether it works, in lines that can be pasted into a bug report.

A section is a list of checks. A check is a name and a function, which returns a text or raises an error that says what is
wrong. No check imports TensorFlow or writes anything.
"""

import importlib.metadata
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import capgen
from capgen.cli import optional_parts
from capgen.errors import BundleError, CapgenError, os_reason
from capgen.storage import paths
from capgen.storage.platform import processors

if TYPE_CHECKING:
    from capgen.cli.configuration import Setting
    from capgen.training.encoders.encoder import EncoderSpec

PACKAGES = (
    "numpy",
    "pillow",
    "pillow-heif",
    "ai-edge-litert",
    "tensorflow",
    "keras",
    "typer",
    "rich",
    "platformdirs",
    "regex",
    "lxml",
    "matplotlib",
    "tomlkit",
)
"""The packages whose versions decide what capgen does."""

CHECK_IMAGE = Path(__file__).parents[1] / "models" / "self_check.jpg"
"""The image that the self-check captions."""

CAPTION_TIMEOUT = 120.0
"""The seconds that the self-check may take."""

Check = tuple[str, Callable[[], str]]


@dataclass(frozen=True)
class Line:
    """The result of a check.

    Attributes:
        name: The name of the check.
        text: What was found; of a fault also what to do about it.
        failed: Whether a check has failed.
    """

    name: str
    text: str
    failed: bool = False


def run_checks() -> Iterator[tuple[str, list[Line]]]:
    """Run all checks; yield the title and the lines of each section as soon as they are known. Raises nothing."""
    for title, checks in SECTIONS.items():
        yield title, list(_lines(title, checks))


def _lines(title: str, checks: Callable[[], Iterator[Check]]) -> Iterator[Line]:
    try:
        for name, check in checks():
            yield _line(name, check)
    except Exception as error:  # a report that ends in the middle is of no use
        yield Line(title, _public(_reason(error)), failed=True)


def _line(name: str, check: Callable[[], str]) -> Line:
    try:
        return Line(_public(name), _public(check()))
    except Exception as error:  # the report is there to show errors of any kind
        return Line(_public(name), _public(_reason(error)), failed=True)


def _reason(error: Exception) -> str:
    """Return what an error says, in a sentence."""
    if isinstance(error, CapgenError):
        return str(error)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {os_reason(error)}"
    return f"this should not happen, please report it ({type(error).__name__}: {error})"


def _public(text: str) -> str:
    """Return ``text`` on one line, with ``~`` in place of the home folder, whose path often contains a person's name."""
    for home in {_home(), os.path.realpath(_home())} - {os.sep}:
        text = re.sub(rf"(?<![\w/]){re.escape(home)}(?![\w-])", "~", text)
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _home() -> str:
    return os.path.expanduser("~")  # noqa: PTH111 - Path.home raises where there is none


class _CheckFailedError(CapgenError):
    """Something that is needed does not work; the message says what to do."""


def _versions() -> Iterator[Check]:
    yield "capgen", lambda: capgen.__version__
    yield "Python", lambda: f"{platform.python_version()} ({platform.python_implementation()}), {sys.executable}"
    for package in PACKAGES:
        yield package, partial(_version, package)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        if package in _required():
            raise _CheckFailedError(f"is missing; get it with: pip install {package}") from None
        return "not installed, not needed"


def _required() -> set[str]:
    """Return the names of the packages that capgen requires."""
    try:
        wanted = importlib.metadata.requires("capgen") or []
    except importlib.metadata.PackageNotFoundError:  # capgen runs from a checkout
        return set(PACKAGES)
    return {re.split(r"[^\w.-]", entry, maxsplit=1)[0].lower() for entry in wanted if "extra ==" not in entry}


def _machine() -> Iterator[Check]:
    yield "platform", platform.platform
    yield "support", optional_parts.support
    yield "processors", lambda: str(processors())
    yield "memory", _memory


def _memory() -> str:
    from capgen.storage import files
    from capgen.storage.platform import memory_bytes

    size = memory_bytes()
    return "unknown" if size is None else files.size_text(size)


def _folders() -> Iterator[Check]:
    yield "cache", lambda: _folder(paths.cache_dir(), "CAPGEN_CACHE_DIR")
    yield "data", lambda: _folder(paths.data_dir(), "CAPGEN_DATA_DIR")
    yield "manifest", _manifest


def _folder(folder: Path, variable: str) -> str:
    from capgen.storage import files

    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        raise _CheckFailedError(f"{folder} cannot be written, because of {existing}; let {variable} name another folder")
    return f"{folder}, writable, {files.size_text(shutil.disk_usage(existing).free)} free"


def _manifest() -> str:
    from capgen.outputs import folder_state, manifest

    path = paths.data_dir() / manifest.NAME
    there = "" if path.exists() else ", not there yet"
    return f"{path}{there}; and {folder_state.NAME} in each folder of captions: what capgen has written, as hashes"


def _configuration() -> Iterator[Check]:
    """Say what is configured, and why: what holds in the working folder, and what does not."""
    from typer.main import get_command

    from capgen.cli import app, configuration
    from capgen.cli.configurable import configured, shown

    yield "your file", lambda: _settings_file(configuration.user_file())
    folder, _ = configuration.folder_file()
    yield configuration.NAME, lambda: str(folder or "none in this folder or above it")
    found = configured(get_command(app).make_context("capgen", [], resilient_parsing=True))
    for setting in found.holding.values():
        yield setting.key, partial(_setting, setting)
    for setting, reason in found.overruled:
        yield setting.key, partial("{}, from {}, does not hold: {}".format, shown(setting.value), setting.origin, reason)


def _setting(setting: "Setting") -> str:
    from capgen.cli.configurable import check_usable, shown

    try:
        check_usable(setting.key, setting.value)
    except CapgenError as error:
        raise _CheckFailedError(f"{error}; it is set in {setting.origin}") from error
    return f"{shown(setting.value)}, from {setting.origin}"


def _settings_file(file: Path) -> str:
    return str(file) if file.exists() else f"{file}, not there yet"


def _encoders() -> Iterator[Check]:
    from capgen.training.encoders import ENCODERS

    for encoder in map(ENCODERS.__getitem__, ENCODERS):
        yield encoder.name, partial(_weights, encoder)


def _weights(encoder: "EncoderSpec") -> str:
    if encoder.shipped:
        if not encoder.weights_file.is_file():
            raise _CheckFailedError(f"{encoder.weights_file} is missing from the package; install capgen again")
        return "weights inside the package"
    if not encoder.keras_weights:
        return f"weights not inside the package: {encoder.origin}"
    downloads = Path(os.environ.get("KERAS_HOME") or f"{_home()}/.keras") / "models"
    if any(downloads.glob(encoder.keras_weights)):
        return f"weights fetched, in {downloads}"
    return "weights to be fetched, by Keras when it is first used, or named with --encoder-weights"


def _captioners() -> Iterator[Check]:
    from capgen.captioner import bundle, catalogue

    default = catalogue.SHIPPED / catalogue.DEFAULT
    found = {
        path.parent for folder in (paths.models_dir(), catalogue.SHIPPED) for path in folder.glob(f"*/{bundle.DESCRIPTION}")
    }
    for folder in sorted(found | {default}):
        yield folder.name, partial(_captioner, folder, shipped=folder.parent == catalogue.SHIPPED)
    yield "default", lambda: str(catalogue.find(None))


def _captioner(folder: Path, *, shipped: bool) -> str:
    from capgen.captioner.bundle import Bundle

    try:
        Bundle(folder).verify()
    except BundleError as error:
        remedy = "install capgen again" if shipped else "train it again or copy it there again, or remove the folder"
        raise _CheckFailedError(f"{str(error).removesuffix('; get the captioner anew')}; {remedy}") from error
    return "intact, inside the package" if shipped else f"intact, {folder}"


def _optional() -> Iterator[Check]:
    for package in optional_parts.PACKAGES:
        yield package.name, partial(optional_parts.describe_package, package)
    for program in optional_parts.PROGRAMS:
        yield program.names[0], partial(optional_parts.describe_program, program)
    for extra in optional_parts.DEVELOPMENT:
        yield f"extra {extra!r}", partial(optional_parts.describe_development, extra)


def _self_check() -> Iterator[Check]:
    yield "caption", _caption


_PROGRAM = """
import sys
sys.path.append(sys.argv[1])
from capgen.captioner.captioner import Captioner
print(Captioner.load(sys.argv[3]).caption(sys.argv[2]))
"""


def _caption() -> str:
    """Caption an image in another process, because a native library that does not fit the machine can end the process."""
    from capgen.captioner import catalogue

    captioner = catalogue.SHIPPED / catalogue.DEFAULT
    arguments = [str(path) for path in (Path(__file__).parents[2], CHECK_IMAGE, captioner)]
    command = [sys.executable, "-P", "-X", "utf8", "-c", _PROGRAM, *arguments]
    started = time.monotonic()
    try:
        done = subprocess.run(  # noqa: S603 - a program of our own
            command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=CAPTION_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _CheckFailedError(f"no caption after {CAPTION_TIMEOUT:.0f} s; please report it") from error
    seconds = time.monotonic() - started
    if done.returncode < 0:
        raise _CheckFailedError(
            f"captioning is ended by {signal.Signals(-done.returncode).name}; please report it with this machine"
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise _CheckFailedError(f"captioning fails ({lines[-1]}); install capgen again, or report it")
    if not (caption := done.stdout.strip()):
        raise _CheckFailedError("the caption is empty; install capgen again, or report it")
    return f"{caption!r}, {seconds:.2f} s from start to end"


SECTIONS: dict[str, Callable[[], Iterator[Check]]] = {
    "versions": _versions,
    "machine": _machine,
    "folders": _folders,
    "configuration": _configuration,
    "encoders": _encoders,
    "captioners": _captioners,
    "optional": _optional,
    "self-check": _self_check,
}
"""The checks of each section. The section that may take longest comes last."""
