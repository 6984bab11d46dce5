"""What can go wrong, as one tree. Every message says what, where and what to do next.

CapgenError                  base of all; the command prints its message and exits with its ``exit_code``
├── UsageError               the request itself cannot be met (exit code 2)
│   ├── UnknownNameError     a name that is in no registry; offers the nearest ones
│   └── ConfigError          a hyper-parameter that does not exist or does not fit
├── DataError                a data set that cannot be read, or holds nothing usable
├── ImageError               a file that cannot be captioned; carries a ``status``
├── BundleError              a captioner that is missing, incomplete, changed or of another version
├── StorageError             a file or folder that cannot be written (disk full, read-only, in use)
├── TrainingError            a training run that cannot start, go on or be exported
└── EngineError              Ray cannot be reached, or cannot go on
"""

from collections.abc import Iterable


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
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Write the message, with the nearest of the known names."""
        import difflib

        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        offer = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names) or 'none yet'}"
        super().__init__(f"there is no {kind} named {name!r}; {offer}")
        self.nearest = near


class ConfigError(UsageError):
    """A hyper-parameter that does not exist or whose value does not fit."""


class DataError(CapgenError):
    """A data set that cannot be read, or holds nothing usable."""


class ImageError(CapgenError):
    """A file that cannot be captioned.

    Args:
        status: One of ``unreadable``, ``unsupported``, ``too-large``, ``denied``, ``vanished``.
        reason: In words, without the path.
    """

    def __init__(self, status: str, reason: str) -> None:
        """Keep the status beside the message."""
        super().__init__(reason)
        self.status = status

    def __reduce__(self) -> tuple[type["ImageError"], tuple[str, str]]:
        """Make it again from both, where a worker sends it to another process."""
        return ImageError, (self.status, str(self))


class BundleError(CapgenError):
    """A captioner that is missing, incomplete, changed or of another version."""


class StorageError(CapgenError):
    """A file or folder that cannot be written."""


class TrainingError(CapgenError):
    """A training run that cannot start, go on or be exported."""


class EngineError(CapgenError):
    """Ray cannot be reached, or cannot go on."""
