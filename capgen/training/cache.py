"""What lies in the cache, who needs it, and taking out what nobody does.

A store is the features of one encoder with one set of weights and the encoder's graph; both carry the store's name. Whoever
fills or reads one holds its lock together with others (``features.in_use``), and whoever removes from it holds it alone: so
nothing goes under a running job. All of it is computed again when it is needed; a shard's list of keys goes before its
arrays, so that an interrupted removal leaves whole shards and leftovers, which count for nothing.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from capgen.datasets import prepared
from capgen.errors import CapgenError, StorageError
from capgen.storage import files, paths
from capgen.training.encoders import encoder
from capgen.training.features import LOCK, identify, shard_keys, view_key

_NAME = re.compile(r"[a-z][a-z0-9-]*-[0-9a-f]{16}")
"""An encoder and the key of its numbers; what is named otherwise was not made by capgen and is left alone."""


@dataclass(frozen=True)
class Store:
    """The features and the graph of one encoder with one set of weights.

    Attributes:
        name: What its folder and its graph are called.
    """

    name: str

    @property
    def folder(self) -> Path:
        """Where its shards and its lock lie."""
        return paths.features_dir() / self.name

    def files(self) -> list[Path]:
        """List its files in the order in which they may be removed: lists of keys first, the lock last."""
        features = sorted(_files_in(self.folder), key=lambda path: (path.name == LOCK, path.suffix != ".json", path.name))
        graphs = [path for path in _files_in(paths.encoders_dir()) if _store_of_graph(path) == self.name]
        return graphs + features

    def shards(self) -> dict[str, list[str]]:
        """Return the keys of each shard that is whole."""
        inside = _files_in(self.folder)
        arrays = {path.name.partition(".")[0] for path in inside if path.suffix == ".npy"}
        return {path.stem: shard_keys(path) for path in inside if path.suffix == ".json" and path.stem in arrays}


@dataclass(frozen=True)
class Usage:
    """What a store holds and who uses it.

    Attributes:
        store: Which.
        images: How many pictures it describes.
        size: Bytes of its features and its graph.
        datasets: Names of the prepared data sets that use it.
    """

    store: Store
    images: int
    size: int
    datasets: tuple[str, ...]


@dataclass(frozen=True)
class Waste:
    """What can go of a store.

    Attributes:
        store: Which.
        paths: The files, in the order in which they may be removed.
        size: Their bytes.
        why: Why they can go; or, if ``in_use``, why nothing can.
        in_use: Whether the store is left alone, because a running job holds it.
    """

    store: Store
    paths: tuple[Path, ...]
    size: int
    why: str
    in_use: bool = False


def stores() -> list[Store]:
    """List the stores, those too of which only a graph or a leftover is there."""
    features = paths.features_dir()
    found = {path.name for path in features.iterdir() if path.is_dir()} if features.is_dir() else set()
    found |= {_store_of_graph(path) for path in _files_in(paths.encoders_dir())}
    return [Store(name) for name in sorted(found) if _NAME.fullmatch(name)]


def usage() -> list[Usage]:
    """Measure every store.

    Raises:
        DataError: A prepared data set is damaged.
    """
    needs = _needs()
    return [
        Usage(
            store,
            images=len({key.partition("|")[0] for keys in store.shards().values() for key in keys}),
            size=sum(map(_size, store.files())),
            datasets=tuple(need.dataset for need in needs if need.meets(store)),
        )
        for store in stores()
    ]


def unneeded() -> Iterator[Waste]:
    """Yield store by store what no prepared data set needs; nobody can use the store until the next is asked for.

    Raises:
        DataError: A prepared data set is damaged, so that what it needs is not known.
    """
    return _locked(_unneeded)


def everything() -> Iterator[Waste]:
    """Yield store by store all that is there; nobody can use the store until the next is asked for."""
    return _locked(lambda store: _waste(store, store.files(), "features and encoder"))


def remove(waste: Waste) -> None:
    """Remove what ``unneeded`` or ``everything`` has just yielded."""
    for path in waste.paths:
        path.unlink(missing_ok=True)
    if waste.store.folder / LOCK in waste.paths:
        with contextlib.suppress(OSError):  # a job that has just begun, or another's file, is in there
            waste.store.folder.rmdir()


@dataclass(frozen=True)
class _Need:
    """What a prepared data set needs: the features of ``keys`` in the stores whose names begin with ``prefix``."""

    dataset: str
    prefix: str
    keys: frozenset[str]

    def meets(self, store: Store) -> bool:
        return store.name.startswith(self.prefix)


def _needs() -> list[_Need]:
    needs = []
    for name in prepared.names():
        data = prepared.load(name)
        weights = Path(data.encoder_weights) if data.encoder_weights else None
        try:
            key = identify(encoder(data.encoder), weights).key
        except (CapgenError, OSError):
            key = ""  # its weights are not here now: it may need any store of the encoder
        keys = frozenset(view_key(picture.image_hash, view) for picture in data.pictures for view in data.views)
        needs.append(_Need(name, f"{data.encoder}-{key}", keys))
    return needs


def _locked(select: Callable[[Store], Waste]) -> Iterator[Waste]:
    for store in stores():
        try:
            with files.lock(store.folder / LOCK):
                yield select(store)
        except StorageError as error:
            yield Waste(store, (), 0, str(error), in_use=True)


def _unneeded(store: Store) -> Waste:
    needs = [need for need in _needs() if need.meets(store)]  # read under the lock: a job saves its data set before it ends
    if not needs:
        return _waste(store, store.files(), "no prepared data set uses it")
    wanted = frozenset[str]().union(*(need.keys for need in needs))
    shards = store.shards()
    needless = {shard for shard, keys in shards.items() if wanted.isdisjoint(keys)}
    kept = shards.keys() - needless
    gone = [path for path in store.files() if path.suffix != ".tflite" and path.name != LOCK and _shard(path) not in kept]
    leftovers = sum(_shard(path) not in needless for path in gone)
    reasons = ((len(needless), "shard", "that no data set needs"), (leftovers, "leftover", "of interrupted writes"))
    why = ", ".join(f"{count} {what}{'s' * (count != 1)} {which}" for count, what, which in reasons if count)
    return _waste(store, gone, why)


def _waste(store: Store, gone: list[Path], why: str) -> Waste:
    return Waste(store, tuple(gone), sum(map(_size, gone)), why)


def _shard(path: Path) -> str:
    """Return the shard that a file belongs to; an empty text for a temporary file."""
    return path.name.partition(".")[0]


def _store_of_graph(path: Path) -> str:
    """Return the name of the store whose graph, or whose temporary file of one, this is."""
    return path.name.removeprefix(".").partition(".tflite")[0]


def _files_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.is_dir()] if folder.is_dir() else []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # removed, or renamed when it was whole, since it was listed
        return 0
