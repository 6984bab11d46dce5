"""What can go wrong, as one tree, and the statuses of images. Every message says what, where and what to do next.

CapgenError                  base of all; the command prints its message and exits with its ``exit_code``
├── UsageError               the request itself cannot be met (exit code 2)
│   ├── UnknownNameError     a name that is in no registry; offers the nearest ones
│   └── ConfigError          a hyper-parameter or a setting that does not exist or does not fit
├── DataError                a data set that cannot be read, or holds nothing usable
├── ImageError               a file that cannot be captioned; carries a ``status``
├── BundleError              a captioner that is missing, incomplete, changed or of another version
├── StorageError             a file or folder that cannot be written (disk full, read-only, in use)
├── TrainingError            a training run that cannot start, go on or be exported
└── EngineError              Ray cannot be reached, or cannot go on
"""

import errno
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar


class Status(StrEnum):
    """What became of an image. The values are what reports, JSON lines and tables hold."""

    CAPTIONED = "captioned"
    """It has captions, which were written wherever that was asked for."""

    SKIPPED = "skipped"
    """It has a caption already, which is kept."""

    LOW_CONFIDENCE = "low-confidence"
    """Its caption is less certain than was asked for, and was not written."""

    PASSED_OVER = "passed-over"
    """It was found in a searched folder, and is not an image or was excluded, by its name or by an option."""

    UNREADABLE = "unreadable"
    """Its data is damaged, or the disk cannot read it."""

    UNSUPPORTED = "unsupported"
    """It is not an image, or not one of a format that is read."""

    TOO_LARGE = "too-large"
    """It has more pixels or bytes than are safe to decode."""

    DENIED = "denied"
    """It may not be read."""

    MISSING = "missing"
    """It is not there, or not any more."""

    CRASHED = "crashed"
    """The process that was to caption it ended, each time that it was tried. Only engines with several processes notice."""

    WRITE_FAILED = "write-failed"
    """It was captioned, but its caption could not be written."""

    @property
    def failed(self) -> bool:
        """Whether something is wrong with the image or with what its caption was to be written to."""
        return self not in (Status.CAPTIONED, Status.SKIPPED, Status.LOW_CONFIDENCE, Status.PASSED_OVER)

    @classmethod
    def _missing_(cls, value: object) -> "Status | None":
        """Read the names that ``low-confidence`` and ``missing`` were stored under before."""
        return {"unsure": cls.LOW_CONFIDENCE, "vanished": cls.MISSING}.get(str(value))


def one_line(error: BaseException) -> str:
    """Return the message of an error of another library as at most 200 characters in one line, or the name of its type."""
    return " ".join(str(error).split())[:200] or type(error).__name__


_OS_REASONS = {
    errno.ENOENT: "no such file",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EISDIR: "it is a folder",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ELOOP: "its links lead in a circle",
    errno.EIO: "the disk cannot read it",
    errno.ESTALE: "the share on which it was has changed",
    errno.ENOTCONN: "the drive or share on which it was is not connected",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
}


def os_reason(error: OSError) -> str:
    """Return in words, and without the path, why the operating system could not read something."""
    reason = error.strerror or one_line(error)
    return _OS_REASONS.get(error.errno or 0) or reason[:1].lower() + reason[1:]


_ENDS_EARLY = re.compile(r"(?i)truncat|unexpected end|premature|not enough|too short|ends? of (?:file|data|stream)|EOF")
"""How the messages of decoders say that a file has no end."""


def damage(error: BaseException) -> str:
    """Return in words what the decoder of another library found wrong: that data ends early, or is damaged."""
    early = isinstance(error, EOFError) or _ENDS_EARLY.search(str(error))
    return "it ends early" if early else "its data is damaged"


_JSON_FAULTS = {
    "Expecting value": "a value is missing",
    "Expecting ',' delimiter": "a comma is missing",
    "Expecting ':' delimiter": "a colon is missing",
    "Expecting property name enclosed in double quotes": "a key in double quotes is missing",
    "Unterminated string starting at": "a text has no end",
    "Invalid control character at": "a line break or a control character is in a text",
    "Invalid \\escape": "a backslash is before a wrong letter",
    "Invalid \\uXXXX escape": "a backslash is before a wrong letter",
    "Extra data": "something comes after its end",
}


def json_fault(error: BaseException) -> str:
    """Return in words what is wrong with a text that ``json`` does not read, and where."""
    from json import JSONDecodeError

    if isinstance(error, JSONDecodeError):
        what = _JSON_FAULTS.get(error.msg, "it is damaged")
        return f"{what} in line {error.lineno}, column {error.colno}"
    if isinstance(error, RecursionError):
        return "its lists and objects lie too deep in each other"
    return "it is not UTF-8 text" if isinstance(error, UnicodeError) else one_line(error)


class CapgenError(Exception):
    """Base of every error that capgen raises on purpose."""

    exit_code = 1


class UsageError(CapgenError):
    """The request itself cannot be met."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is in no registry.

    Args:
        kind: What was looked for, e.g. ``"encoder"``.
        name: The name that was given.
        known: The names that exist.
        remedy: What else can be done, such as making one.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], remedy: str = "") -> None:
        """Write the message, with the nearest of the known names."""
        import difflib

        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        offer = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names) or 'none yet'}"
        more = f"{' or' if near else ';'} {remedy}" if remedy else ""
        super().__init__(f"there is no {kind} named {name!r}; {offer}{more}")
        self.nearest = near
        self._arguments = kind, name, tuple(names), remedy

    def __reduce__(self) -> tuple[type["UnknownNameError"], tuple[str, str, tuple[str, ...], str]]:
        """Pickle all arguments; by default only the message would be sent to another process."""
        return UnknownNameError, self._arguments


_Member = TypeVar("_Member", bound=StrEnum)


def member(values: type[_Member], name: str, kind: str) -> _Member:
    """Return the value of an enumeration that a person has named.

    Args:
        values: The enumeration.
        name: The name that was given.
        kind: What its values are, as ``UnknownNameError`` says it.

    Raises:
        UnknownNameError: There is no such value; the message offers the nearest.
    """
    if name not in list(values):
        raise UnknownNameError(kind, name, values)
    return values(name)


class ConfigError(UsageError):
    """A hyper-parameter, or a default of one's own, that does not exist or whose value does not fit."""


class DataError(CapgenError):
    """A data set that cannot be read, or holds nothing usable."""


class ImageError(CapgenError):
    """A file that cannot be captioned.

    Args:
        status: One of the failures among the statuses.
        reason: In words, without the path.

    Raises:
        ValueError: The status is not that of a failure.
    """

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = Status(status)
        if not self.status.failed:
            raise ValueError(f"an image that is {status} did not fail")

    def __reduce__(self) -> tuple[type["ImageError"], tuple[Status, str]]:
        """Pickle both arguments; by default only the message would be sent to another process."""
        return ImageError, (self.status, str(self))


class BundleError(CapgenError):
    """A captioner that is missing, incomplete, changed or of another version."""


class StorageError(CapgenError):
    """A file or folder that cannot be written."""


class TrainingError(CapgenError):
    """A training run that cannot start, go on or be exported."""


class EngineError(CapgenError):
    """Ray cannot be reached, or cannot go on."""
