"""``prepare``: read sources, validate them, cache their features, and name the result."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from capgen import datasets
from capgen.datasets.layout import Problem, Reading
from capgen.datasets.prepared import PreparedDataset, problems_file, save_problems
from capgen.datasets.validation import Share, Validated, validate
from capgen.errors import DataError, UnknownNameError, UsageError
from capgen.storage import paths
from capgen.training.encoders import Encoder
from capgen.training.encoders import encoder as find_encoder
from capgen.training.features import VIEWS, FeatureStore, Prepared, extract, in_use

if TYPE_CHECKING:
    from capgen.batch.engines.ray import Cluster

_STYLE = re.compile(r"[a-z0-9-]*")


@dataclass(frozen=True)
class Source:
    """One source of a data set.

    Attributes:
        path: File or folder.
        images: Folder of its pictures, if not in the layout's own place.
        layout: Name of its layout, or ``"auto"``.
        weight: How often its pictures are seen in an epoch of training, on average.
        use: ``"all"``, or ``"train"`` if its pictures only train: its train split, or all of it if it has no splits.
        style: Name of the way in which its captions are written; empty for the one that the captioner will write in.
    """

    path: Path
    images: Path | None = None
    layout: str = datasets.AUTO
    weight: float = 1.0
    use: str = "all"
    style: str = ""


USES = ("all", "train")
"""What of a source may be used."""


class Observer:
    """Who is told how preparing goes; every method may be overridden."""

    def on_read(self, source: Source, reading: Reading) -> None:
        """Called for each source read."""

    def on_check(self, done: int, total: int) -> None:
        """Called for each picture checked."""

    def on_validated(self, validated: Validated) -> None:
        """Called once, before anything is computed."""

    def on_convert(self, encoder: Encoder) -> None:
        """Called before an encoder is converted, which takes some seconds, and downloads weights that are not here."""

    def on_extract(self, done: int, total: int) -> None:
        """Called for each picture whose features are computed."""


@dataclass(frozen=True)
class Request:
    """What to prepare.

    Attributes:
        name: What the data set will be called.
        sources: Where it comes from.
        encoder: Name of the encoder.
        encoder_weights: A file in place of the encoder's own weights.
        views: Views beyond the plain one.
        workers: Decoding threads.
        left_out: Names of pictures that are not used, whatever source they are in.
        strict: Any problem is an error.
        seed: Decides the split where there is none.
        cluster: Whose workers describe the pictures, instead of this machine.
    """

    name: str
    sources: Sequence[Source]
    encoder: str = "efficientnet-lite2"
    encoder_weights: Path | None = None
    views: Sequence[str] = ()
    workers: int = 2
    left_out: frozenset[str] = frozenset()
    strict: bool = False
    seed: int = 0
    cluster: "Cluster | None" = None
    observer: Observer = field(default_factory=Observer)


def prepare(request: Request) -> PreparedDataset:
    """Prepare a data set; what is in the cache already is not computed again.

    Raises:
        DataError: A source cannot be read, nothing usable is in it, or ``strict`` and something was wrong.
        UnknownNameError: No encoder or layout of that name.
        StorageError: The cache or the data folder cannot be written.
    """
    if not paths.NAME.fullmatch(request.name):
        raise UsageError(f"{request.name!r} cannot be a name; give one with --name, of letters, digits, '.', '_' and '-'")
    observer = request.observer
    encoder = find_encoder(request.encoder)
    views = tuple(dict.fromkeys(("plain", *request.views)))
    for source in request.sources:
        if not (math.isfinite(source.weight) and source.weight > 0):
            raise UsageError(f"a weight of {source.weight} makes no sense; it is how often an image is seen, above 0")
        if source.use not in USES:
            raise UnknownNameError("use of a source", source.use, USES)
        if not _STYLE.fullmatch(source.style):
            raise UsageError(f"{source.style!r} cannot name a style; write it in letters, digits and '-'")
    for view in views:
        if view not in VIEWS:
            raise UnknownNameError("view", view, VIEWS)
    shares: list[Share] = []
    for source in request.sources:
        reading = datasets.read(source.path, source.layout, source.images)
        shares.append(Share(reading, source.weight, source.style, source.use == "train", request.left_out))
        observer.on_read(source, reading)
    with in_use(encoder, request.encoder_weights, lambda: observer.on_convert(encoder)) as prepared:
        # the data set is saved in there, so that its features are in use until it is known to need them
        return _described(request, shares, views, prepared)


def _described(request: Request, shares: Sequence[Share], views: tuple[str, ...], prepared: Prepared) -> PreparedDataset:
    """Check the pictures that were read, fill the store with their features and save the data set."""
    observer = request.observer
    store = FeatureStore(prepared.store_folder)
    validated = validate(
        shares, seed=request.seed, workers=request.workers, is_known=store.__contains__, on_progress=observer.on_check
    )
    observer.on_validated(validated)
    if not validated.pictures:
        raise DataError(f"nothing in {request.sources[0].path} can be used; {_first(validated.problems)}")
    if request.strict and validated.problems:
        save_problems(request.name, validated.problems)
        listed = problems_file(request.name)
        raise DataError(
            f"{len(validated.problems)} problems, and --strict; {_first(validated.problems)}; all are listed in {listed}"
        )
    pictures = [(picture.image_hash, Path(picture.path)) for picture in validated.pictures]
    failed = extract(
        prepared,
        store,
        pictures,
        views,
        workers=request.workers,
        on_progress=observer.on_extract,
        cluster=request.cluster,
    )
    if failed:
        raise DataError(f"{len(failed)} images changed or vanished while they were read; run it again")
    dataset = PreparedDataset(
        name=request.name,
        pictures=tuple(validated.pictures),
        encoder=prepared.encoder.name,
        encoder_weights=str(request.encoder_weights.resolve()) if request.encoder_weights else "",
        views=views,
        sources=tuple(str(source.path) for source in request.sources),
    )
    dataset.save()
    save_problems(request.name, validated.problems)
    return dataset


def _first(problems: Sequence[Problem]) -> str:
    if not problems:
        return "it is empty"
    problem = problems[0]
    return f"the first: {problem.kind}, {problem.where}" + (f" ({problem.detail})" if problem.detail else "")
