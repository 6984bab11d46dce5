"""What can go wrong, as one tree, and the statuses of images. Every message says what, where and what to do next.

CapgenError                  base of all; the command prints its message and exits with its ``exit_code``
├── UsageError               the request itself cannot be met (exit code 2)
│   ├── UnknownNameError     a name that is in no registry; lists those that are
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
from collections.abc import Callable, Iterable
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


def toml_fault(error: BaseException) -> str:
    """Return in words where a text that ``tomllib`` or ``tomlkit`` does not read is wrong."""
    position = re.search(r"at line (\d+),? col(?:umn)? (\d+)", str(error))
    if isinstance(error, UnicodeError):
        return "it is not UTF-8 text"
    return f"something is wrong in line {position[1]}, column {position[2]}" if position else "its end is missing"


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
        suggest: Whether the nearest of the known names are offered; not where the name is that of something to be removed.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], remedy: str = "", *, suggest: bool = True) -> None:
        """Write the message, with the nearest of the known names, and all of them if they are few."""
        names = sorted(known)
        self.nearest = near_names(name, names) if suggest else []
        offers = [f"did you mean {' or '.join(self.nearest)}?"] if self.nearest else []
        if len(names) <= _FEW or not self.nearest:
            offers.append(f"known: {', '.join(names) or 'none yet'}")
        super().__init__(f"there is no {kind} named {name!r}; {' '.join(offers)}{f'; {remedy}' if remedy else ''}")
        self._arguments = kind, name, tuple(names), remedy, suggest

    def __reduce__(self) -> "tuple[Callable[..., UnknownNameError], tuple[str, str, tuple[str, ...], str, bool]]":
        """Pickle all arguments; by default only the message would be sent to another process."""
        return _unknown_name, self._arguments


_FEW = 12
"""Up to so many names are listed in a message."""


def _unknown_name(kind: str, name: str, known: Iterable[str], remedy: str, suggest: bool) -> UnknownNameError:
    return UnknownNameError(kind, name, known, remedy, suggest=suggest)


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that a name may have been meant to be: it is the beginning of them, or a slip of the keys.

    Words that are merely alike are left out, since they may mean the opposite: ``replace`` and ``prepend``, ``--force`` and
    ``--no-force``.

    Args:
        name: The name that was given.
        known: The names that exist.

    Returns:
        At most three, all equally near.
    """
    plain = _plain(name)
    distances = {other: 0 if _begins(other, plain) else _slips(plain, _plain(other)) for other in known}
    least = min(distances.values(), default=0)
    if least > max(1, len(plain.strip("-")) // 5):
        return []
    return [other for other, distance in distances.items() if distance == least][:3]


def _plain(name: str) -> str:
    return name.casefold().translate(str.maketrans("_. ", "---"))


def _begins(name: str, beginning: str) -> bool:
    return len(beginning.strip("-")) >= 3 and _plain(name).startswith(beginning)  # noqa: PLR2004


def _slips(one: str, other: str) -> int:
    """Return how many characters are missing, too many, wrong, or swapped with the next one (optimal string alignment)."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, character in enumerate(one, 1):
        current = [row]
        for column, wanted in enumerate(other, 1):
            best = min(last[column] + 1, current[-1] + 1, last[column - 1] + (character != wanted))
            if row > 1 and column > 1 and (character, one[row - 2]) == (other[column - 2], wanted):
                best = min(best, before[column - 2] + 1)
            current.append(best)
        before, last = last, current
    return last[-1]


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
