"""What is installed, what is at hand and whether it works, in lines that can be pasted into a report.

A section is a list of checks; a check is a name and a function that returns what there is to say, or raises what is wrong.
Nothing here imports TensorFlow, and nothing is written.
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

import capgen
from capgen.errors import BundleError, CapgenError
from capgen.storage import paths

PACKAGES = ("numpy", "pillow", "pillow-heif", "ai-edge-litert", "tensorflow", "keras", "typer", "rich", "platformdirs")
"""The packages whose versions decide what capgen does."""

PHOTOGRAPH = Path(__file__).parents[1] / "models" / "self_check.jpg"
"""What the self-check captions."""

PATIENCE = 120.0
"""Seconds that the self-check may take."""

KERAS_FILES = {
    "vgg16": "vgg16_*_kernels.h5",
    "resnet50": "resnet50_*_notop.h5",
    "mobilenetv3": "weights_mobilenet_v3_large_*_no_top*.h5",
    "efficientnetv2b0": "efficientnetv2-b0_notop.h5",
}
"""What Keras calls the weights that it fetches, an encoder each."""

Check = tuple[str, Callable[[], str]]


@dataclass(frozen=True)
class Line:
    """One thing that was looked at.

    Attributes:
        name: What.
        text: What is the matter with it; of a fault also what to do.
        broken: Whether it is a fault.
    """

    name: str
    text: str
    broken: bool = False


def examine() -> Iterator[tuple[str, list[Line]]]:
    """Look at everything; yield each section's title and its lines as soon as they are known. Raises nothing."""
    for title, checks in SECTIONS.items():
        yield title, list(_lines(title, checks))


def _lines(title: str, checks: Callable[[], Iterator[Check]]) -> Iterator[Line]:
    try:
        for name, check in checks():
            yield _line(name, check)
    except Exception as error:  # a report that ends in the middle helps nobody
        yield Line(title, _public(_reason(error)), broken=True)


def _line(name: str, check: Callable[[], str]) -> Line:
    try:
        return Line(_public(name), _public(check()))
    except Exception as error:  # whatever it is, it is what the report is for
        return Line(_public(name), _public(_reason(error)), broken=True)


def _reason(error: Exception) -> str:
    if isinstance(error, CapgenError):
        return str(error)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return f"this should not happen, please report it ({type(error).__name__}: {error})"


def _public(text: str) -> str:
    """Return ``text`` on one line, with ``~`` for the home folder, which often holds a name."""
    for home in {_home(), os.path.realpath(_home())} - {os.sep}:
        text = re.sub(rf"(?<![\w/]){re.escape(home)}(?![\w-])", "~", text)
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _home() -> str:
    return os.path.expanduser("~")  # noqa: PTH111 - Path.home raises where there is none


class _FaultError(CapgenError):
    """Something that is needed and does not work; the message says what to do."""


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
            raise _FaultError(f"is missing; get it with: pip install {package}") from None
        return "not installed, not needed"


def _required() -> set[str]:
    """Return the names of the packages that capgen's own installation asks for."""
    try:
        wanted = importlib.metadata.requires("capgen") or []
    except importlib.metadata.PackageNotFoundError:  # it runs from a checkout
        return set(PACKAGES)
    return {re.split(r"[^\w.-]", entry, maxsplit=1)[0].lower() for entry in wanted if "extra ==" not in entry}


def _machine() -> Iterator[Check]:
    yield "platform", platform.platform
    yield "processors", lambda: str(os.cpu_count() or "unknown")
    yield "memory", _memory


def _memory() -> str:
    from capgen.storage import files
    from capgen.storage.platform import memory_bytes

    size = memory_bytes()
    return "unknown" if size is None else files.size_text(size)


def _places() -> Iterator[Check]:
    yield "cache", lambda: _place(paths.cache_dir(), "CAPGEN_CACHE_DIR")
    yield "data", lambda: _place(paths.data_dir(), "CAPGEN_DATA_DIR")


def _place(folder: Path, variable: str) -> str:
    from capgen.storage import files

    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise _FaultError(f"{folder} cannot be written, because of {there}; let {variable} name another folder")
    return f"{folder}, writable, {files.size_text(shutil.disk_usage(there).free)} free"


def _encoders() -> Iterator[Check]:
    from capgen.training.encoders import ENCODERS

    for encoder in map(ENCODERS.__getitem__, ENCODERS):
        yield encoder.name, partial(_weights, encoder.name, encoder.weights_file if encoder.shipped else None)


def _weights(encoder: str, shipped: Path | None) -> str:
    if shipped is not None:
        if not shipped.is_file():
            raise _FaultError(f"{shipped} is missing from the package; install capgen again")
        return "weights inside the package"
    kept = Path(os.environ.get("KERAS_HOME") or f"{_home()}/.keras") / "models"
    if any(kept.glob(KERAS_FILES[encoder])):
        return f"weights fetched, in {kept}"
    return "weights to be fetched, by Keras when it is first used, or named with --encoder-weights"


def _captioners() -> Iterator[Check]:
    from capgen.captioner import bundle

    default = bundle.SHIPPED / bundle.DEFAULT
    found = {
        path.parent for folder in (paths.models_dir(), bundle.SHIPPED) for path in folder.glob(f"*/{bundle.DESCRIPTION}")
    }
    for place in sorted(found | {default}):
        yield place.name, partial(_captioner, place, shipped=place.parent == bundle.SHIPPED)
    yield "default", lambda: str(bundle.find(None))


def _captioner(place: Path, *, shipped: bool) -> str:
    from capgen.captioner.bundle import Bundle

    try:
        Bundle(place).verify()
    except BundleError as error:
        remedy = "install capgen again" if shipped else "train it again or copy it there again, or remove the folder"
        raise _FaultError(f"{str(error).removesuffix('; get the captioner anew')}; {remedy}") from error
    return "intact, inside the package" if shipped else f"intact, {place}"


def _optional() -> Iterator[Check]:
    yield "exiftool", _exiftool


def _exiftool() -> str:
    missing = "not installed; --embed needs it: apt install libimage-exiftool-perl, or brew install exiftool"
    return shutil.which("exiftool") or missing


def _self_check() -> Iterator[Check]:
    yield "caption", _caption


_PROGRAM = """
import sys
sys.path.append(sys.argv[1])
from capgen.captioner.captioner import Captioner
print(Captioner.load(sys.argv[3]).caption(sys.argv[2]))
"""


def _caption() -> str:
    """Caption the photograph in another process, because a native library that does not fit can end the process."""
    from capgen.captioner import bundle

    captioner = bundle.SHIPPED / bundle.DEFAULT
    arguments = [str(path) for path in (Path(__file__).parents[2], PHOTOGRAPH, captioner)]
    command = [sys.executable, "-P", "-X", "utf8", "-c", _PROGRAM, *arguments]
    started = time.monotonic()
    try:
        done = subprocess.run(  # noqa: S603 - a program of our own
            command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _FaultError(f"no caption after {PATIENCE:.0f} s; please report it") from error
    seconds = time.monotonic() - started
    if done.returncode < 0:
        raise _FaultError(
            f"captioning is ended by {signal.Signals(-done.returncode).name}; please report it with this machine"
        )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise _FaultError(f"captioning fails ({said[-1]}); install capgen again, or report it")
    if not (caption := done.stdout.strip()):
        raise _FaultError("the caption is empty; install capgen again, or report it")
    return f"{caption!r}, {seconds:.2f} s from start to end"


SECTIONS: dict[str, Callable[[], Iterator[Check]]] = {
    "versions": _versions,
    "machine": _machine,
    "places": _places,
    "encoders": _encoders,
    "captioners": _captioners,
    "optional": _optional,
    "self-check": _self_check,
}
"""In the order in which they are looked at: what may take longest comes last."""
