"""``Registry``: the one mechanism behind every kind of extension point, names to things that are loaded when asked for.

A kind (encoders, output formats, metrics ...) has one registry, in the package that holds the kind. To add an entry, write a
module and add its line to that registry; the contract tests of the kind then run on it, too.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar, cast

from capgen.errors import UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Things of one kind by name. It iterates over the names, in the order they were given; nothing is imported for that.

    Args:
        kind: What one of them is called in messages, e.g. ``"decoder"``.
        entries: Where each is, by name, as ``"module:attribute"``.
    """

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> T:
        """Import the module of an entry, and return the entry.

        Raises:
            UnknownNameError: There is no entry of that name; the message offers the nearest names.
        """
        if name not in self._entries:
            raise UnknownNameError(self.kind, name, self._entries)
        module, _, attribute = self._entries[name].partition(":")
        return cast("T", getattr(import_module(module), attribute))
