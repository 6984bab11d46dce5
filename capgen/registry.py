"""A registry: names to the modules that hold them, loaded when asked for."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from capgen.errors import UnknownNameError


class Registry:
    """Things of one kind, each in a module of its own.

    Args:
        kind: What one is called in messages, e.g. ``"decoder"``.
        entries: Name to ``"module:attribute"``.
    """

    def __init__(self, kind: str, entries: dict[str, str]) -> None:
        """Keep the table; nothing is imported."""
        self.kind = kind
        self.entries = entries

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, in the order they were given."""
        return iter(self.entries)

    def __getitem__(self, name: str) -> Any:
        """Load what is called ``name``.

        Raises:
            UnknownNameError: There is none; the message offers the nearest.
        """
        if name not in self.entries:
            raise UnknownNameError(self.kind, name, self.entries)
        module, _, attribute = self.entries[name].partition(":")
        return getattr(import_module(module), attribute)
