"""What lies in the cache, which data sets need it, and the removal of what nobody needs.

A store is the features of one encoder with one set of weights, and the encoder's graph; both carry the store's name. Whoever
fills or reads a store holds its lock together with others (``encoder_graph.use_encoder``), and whoever removes from it holds
the lock alone, so that nothing is removed under a running job. All of it is computed again when it is needed. A shard's list
of keys is removed before its arrays, so that an interrupted removal leaves whole shards, and leftovers that are ignored.

One more store is the images that were unpacked from archives (``capgen.datasets.unpacking``), a folder for each archive.
"""

import contextlib
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TypeVar

from capgen.datasets import prepared, unpacking
from capgen.errors import CapgenError, StorageError
from capgen.storage import locks, paths
from capgen.training.encoder_graph import encoder_graph
from capgen.training.encoders import ENCODERS
from capgen.training.features import LOCK, feature_key, shard_keys

_NAME = re.compile(r"[a-z][a-z0-9-]*-[0-9a-f]{16}")
"""The name of an encoder and its fingerprint; what has another name was not made by capgen and is left alone."""


@dataclass(frozen=True)
class Store:
    """The features and the graph of one encoder with one set of weights.

    Attributes:
        name: The name of its folder and of its graph.
    """

    name: str

    @property
    def folder(self) -> Path:
        """The folder of its shards and its lock."""
        return paths.features_dir() / self.name

    def files(self) -> list[Path]:
        """List its files in the order in which they may be removed: lists of keys before arrays, the lock last."""
        features = sorted(_files_in(self.folder), key=lambda path: (path.name == LOCK, path.suffix != ".json", path.name))
        graphs = [path for path in _files_in(paths.encoders_dir()) if _store_of_graph(path) == self.name]
        return graphs + features

    def shards(self) -> dict[str, list[str]]:
        """Return the keys of each shard that is whole."""
        found = _files_in(self.folder)
        arrays = {path.name.partition(".")[0] for path in found if path.suffix == ".npy"}
        return {path.stem: shard_keys(path) for path in found if path.suffix == ".json" and path.stem in arrays}


@dataclass(frozen=True)
class UnpackedStore:
    """The images that were unpacked from archives."""

    @property
    def name(self) -> str:
        """What it is called among the stores."""
        return self.folder.name

    @property
    def folder(self) -> Path:
        """The folder of its archives' folders and its lock."""
        return paths.unpacked_dir()

    def archives(self) -> list[Path]:
        """List the folders of its archives, those of interrupted writes among them."""
        return sorted(path for path in self.folder.iterdir() if path.is_dir()) if self.folder.is_dir() else []

    def users(self) -> dict[str, set[str]]:
        """Return the names of the prepared data sets that use each archive's folder, by its name.

        Raises:
            DataError: A prepared data set is damaged.
        """
        roots = {self.folder.absolute(), self.folder.resolve()}
        found: dict[str, set[str]] = {}
        for name in prepared.names():
            for path, root in product((Path(image.path) for image in prepared.load(name).images), roots):
                if path.is_relative_to(root):
                    found.setdefault(path.relative_to(root).parts[0], set()).add(name)
        return found


AnyStore = Store | UnpackedStore
_S = TypeVar("_S", Store, UnpackedStore)


@dataclass(frozen=True)
class Usage:
    """What a store holds, and who uses it.

    Attributes:
        store: The store.
        images: The number of images, or of those whose features it holds.
        size: The bytes of its files.
        datasets: The names of the prepared data sets that use it.
    """

    store: AnyStore
    images: int
    size: int
    datasets: tuple[str, ...]


@dataclass(frozen=True)
class Removal:
    """What can be removed of a store.

    Attributes:
        store: The store.
        paths: The files and the folders of archives, in the order in which they may be removed.
        size: The bytes of the files.
        reason: Why they can be removed; of a store ``in_use``, why nothing can.
        in_use: Whether the store is left alone, because a running job holds its lock.
    """

    store: AnyStore
    paths: tuple[Path, ...]
    size: int
    reason: str
    in_use: bool = False


def stores() -> list[Store]:
    """List all stores, also those of which only a graph or a leftover is there."""
    features = paths.features_dir()
    found = {path.name for path in features.iterdir() if path.is_dir()} if features.is_dir() else set()
    found |= {_store_of_graph(path) for path in _files_in(paths.encoders_dir())}
    return [Store(name) for name in sorted(found) if _NAME.fullmatch(name)]


def usage() -> list[Usage]:
    """Measure every store.

    Raises:
        DataError: A prepared data set is damaged.
    """
    requirements = _requirements()
    found = [
        Usage(
            store,
            images=len({key.partition("|")[0] for keys in store.shards().values() for key in keys}),
            size=sum(map(_size, store.files())),
            datasets=tuple(requirement.dataset for requirement in requirements if requirement.concerns(store)),
        )
        for store in stores()
    ]
    unpacked = UnpackedStore()
    if archives := unpacked.archives():
        users = sorted(set[str]().union(*unpacked.users().values()))
        images = sum(unpacking.image_count(folder) for folder in archives)
        found.append(Usage(unpacked, images, sum(map(_size, archives)), tuple(users)))
    return found


def unneeded() -> Iterator[Removal]:
    """Yield, store by store, what no prepared data set needs; the store stays locked until the next one is asked for.

    Raises:
        DataError: A prepared data set is damaged, so that what it needs is not known.
    """
    yield from _each_locked(stores(), _unneeded)
    yield from _each_locked(_unpacked_stores(), _unneeded_archives)


def everything() -> Iterator[Removal]:
    """Yield, store by store, all that is there; the store stays locked until the next one is asked for."""
    yield from _each_locked(stores(), lambda store: _removal(store, store.files(), "features and encoder"))
    yield from _each_locked(
        _unpacked_stores(), lambda store: _removal(store, _everything_unpacked(store), "unpacked archives")
    )


def remove(removal: Removal) -> None:
    """Remove the files that ``unneeded`` or ``everything`` has just yielded."""
    for path in removal.paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if removal.store.folder / LOCK in removal.paths:
        with contextlib.suppress(OSError):  # there are files of a job that has just begun in it, or of another program
            removal.store.folder.rmdir()


@dataclass(frozen=True)
class _Requirement:
    """The features that a prepared data set needs: those of ``keys``, in every store whose name begins with ``prefix``."""

    dataset: str
    prefix: str
    keys: frozenset[str]

    def concerns(self, store: Store) -> bool:
        return store.name.startswith(self.prefix)


def _requirements() -> list[_Requirement]:
    requirements = []
    for name in prepared.names():
        data = prepared.load(name)
        weights = Path(data.encoder_weights) if data.encoder_weights else None
        try:
            fingerprint = encoder_graph(ENCODERS[data.encoder], weights).fingerprint
        except (CapgenError, OSError):
            fingerprint = ""  # its weights are not here now, so that it may need any store of the encoder
        keys = (feature_key(image.image_hash, name) for image in data.images for name in data.augmentations)
        requirements.append(_Requirement(name, f"{data.encoder}-{fingerprint}", frozenset(keys)))
    return requirements


def _each_locked(stores: Iterable[_S], select: Callable[[_S], Removal]) -> Iterator[Removal]:
    for store in stores:
        try:
            with locks.lock(store.folder / LOCK):
                yield select(store)
        except StorageError as error:
            yield Removal(store, (), 0, str(error), in_use=True)


def _unneeded(store: Store) -> Removal:
    # The requirements are read under the lock, as a job saves its data set before it gives the lock back.
    requirements = [requirement for requirement in _requirements() if requirement.concerns(store)]
    if not requirements:
        return _removal(store, store.files(), "no prepared data set uses it")
    needed_keys = frozenset[str]().union(*(requirement.keys for requirement in requirements))
    shards = store.shards()
    unneeded_shards = {shard for shard, keys in shards.items() if needed_keys.isdisjoint(keys)}
    removable = _removable(store, shards.keys() - unneeded_shards)
    leftovers = sum(_shard(path) not in unneeded_shards for path in removable)
    counts = [(len(unneeded_shards), "shard", "that no data set needs"), (leftovers, "leftover", "of interrupted writes")]
    return _removal(store, removable, _reason(counts))


def _unpacked_stores() -> list[UnpackedStore]:
    """Return the store of unpacked archives, if there are any."""
    return [store for store in [UnpackedStore()] if store.archives()]


def _unneeded_archives(store: UnpackedStore) -> Removal:
    used = store.users()
    if not used:
        return _removal(store, _everything_unpacked(store), "no prepared data set uses it")
    folders = [folder for folder in store.archives() if folder.name not in used]
    return _removal(store, folders, _reason([(len(folders), "archive", "that no data set needs")]))


def _everything_unpacked(store: UnpackedStore) -> list[Path]:
    return [*store.archives(), store.folder / LOCK]


def _removable(store: Store, kept: Set[str]) -> list[Path]:
    """List the files of features that belong to none of the shards that are kept, in the order of removal."""
    return [path for path in store.files() if path.suffix != ".tflite" and path.name != LOCK and _shard(path) not in kept]


def _reason(counts: Iterable[tuple[int, str, str]]) -> str:
    """Say in words what so many things are removed for: their number, what they are, and which."""
    return ", ".join(f"{count} {noun}{'s' * (count != 1)} {which}" for count, noun, which in counts if count)


def _removal(store: AnyStore, removable: list[Path], reason: str) -> Removal:
    return Removal(store, tuple(removable), sum(map(_size, removable)), reason)


def _shard(path: Path) -> str:
    """Return the shard that a file belongs to; an empty text for a temporary file."""
    return path.name.partition(".")[0]


def _store_of_graph(path: Path) -> str:
    """Return the name of the store whose graph, or temporary file of a graph, this is."""
    return path.name.removeprefix(".").partition(".tflite")[0]


def _files_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.is_dir()] if folder.is_dir() else []


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    try:
        return sum(map(_size, path.iterdir())) if path.is_dir() else path.stat().st_size
    except FileNotFoundError:  # removed, or renamed when it was complete, since it was listed
        return 0
