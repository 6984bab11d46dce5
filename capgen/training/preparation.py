"""``prepare``: load sources, validate them, cache the features of their images, and save the result under a name."""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from capgen import datasets
from capgen.captioner import language as languages
from capgen.datasets import prepared, unpacking
from capgen.datasets.layout import Columns, LoadedDataset, Problem, by_kind
from capgen.datasets.prepared import PreparedDataset
from capgen.datasets.validation import AS_ASKED, LoadedSource, ValidationReport, validate
from capgen.errors import DataError, UnknownNameError, UsageError, member
from capgen.storage import paths
from capgen.training.encoder_graph import EncoderGraph, encoder_graph, use_encoder
from capgen.training.encoders import ENCODERS
from capgen.training.encoders.encoder import EncoderSpec
from capgen.training.extraction import extract
from capgen.training.features import AUGMENTATIONS, MIRROR, PLAIN, FeatureStore
from capgen.training.mirroring import language_sides

if TYPE_CHECKING:
    from capgen.batch.engines import Engine

_DOMAIN = re.compile(r"[a-z0-9-]*")


class Use(StrEnum):
    """What of a source goes into a data set."""

    ALL = "all"
    """Every split of it."""

    TRAIN = "train"
    """Its train split, or all of it as train if it has no splits."""


@dataclass(frozen=True)
class DataSetSource:
    """One source of a data set.

    Attributes:
        path: A file or a folder.
        images: The folder of its images, where they are not in the layout's own folders.
        layout: The name of its layout, or ``"auto"``.
        weight: How often its images are seen in an epoch of training, on average; above 0.
        use: A value of ``Use``.
        domain: The name of the domain that its captions are from; empty for the target domain, which is the one that a
            captioner will write in.
        image_column: The column of a table that names its images, or ``None`` for one of the known names.
        caption_column: The column of a table that has its captions, or ``None`` for one of the known names.
    """

    path: Path
    images: Path | None = None
    layout: str = datasets.AUTO
    weight: float = 1.0
    use: str = Use.ALL
    domain: str = ""
    image_column: str | None = None
    caption_column: str | None = None

    @property
    def columns(self) -> Columns | None:
        """The columns that are named; ``None`` if none is."""
        named = self.image_column is not None or self.caption_column is not None
        return Columns(self.image_column, self.caption_column) if named else None

    def check(self) -> None:
        """Make sure that the values fit.

        Raises:
            UsageError: A value does not fit; the message says what it must be.
        """
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise UsageError(f"a weight of {self.weight} makes no sense; it is how often an image is seen, above 0")
        member(Use, self.use, "use of a source")
        if not _DOMAIN.fullmatch(self.domain):
            raise UsageError(f"{self.domain!r} cannot name a domain; write it in lower-case letters, digits and '-'")


class PreparationReporter:
    """Receives the progress of a preparation; every method may be overridden."""

    def on_unpack(self, archive: str, images: int) -> None:
        """Called for each image that was unpacked, with the name of its archive and the number of images so far."""

    def on_read(self, source: DataSetSource, dataset: LoadedDataset) -> None:
        """Called for each source that was loaded."""

    def on_check(self, done: int, total: int) -> None:
        """Called for each image that was checked."""

    def on_validated(self, report: ValidationReport) -> None:
        """Called once, before features are extracted."""

    def on_language(self, language: str, *, given: bool, without_mirror_images: bool) -> None:
        """Called once with the tag of the captions' language, which was given or recognised.

        Without mirror images they were asked for and are left out, because the words for left and right are not known.
        """

    def on_convert(self, encoder: EncoderSpec) -> None:
        """Called before an encoder is converted, which takes some seconds, and downloads its weights if need be."""

    def on_extract(self, done: int, total: int) -> None:
        """Called for each image whose features were extracted."""


@dataclass(frozen=True)
class PreparationRequest:
    """What to prepare.

    Attributes:
        name: What the data set will be called.
        sources: Where its images and captions come from; at least one.
        encoder: The name of the encoder.
        encoder_weights: A file of weights in place of the encoder's own.
        augmentations: The augmentations whose features are cached, beside those of the image as it is.
        workers: The number of decoding threads.
        excluded: The names or paths of images that are not used, whatever source they are in.
        strict: Whether any problem is an error.
        report: A file of JSON lines that is written with all that was left out or joined, row by row.
        seed: Decides the split where a source has none.
        overwrite: Whether a data set of that name made of other sources may be replaced.
        language: The tag of the language of the captions (BCP 47); empty to recognise it.
    """

    name: str
    sources: Sequence[DataSetSource]
    encoder: str = "efficientnet-lite2"
    encoder_weights: Path | None = None
    augmentations: Sequence[str] = ()
    workers: int = 2
    excluded: Sequence[str] = ()
    strict: bool = False
    report: Path | None = None
    seed: int = 0
    overwrite: bool = False
    language: str = ""

    def check(self) -> None:
        """Make sure that the values fit, before any work is done.

        Raises:
            UsageError: A value does not fit, or the name is that of a data set made of other sources.
        """
        if not paths.NAME.fullmatch(self.name):
            raise UsageError(f"{self.name!r} cannot be a name; give one with `name`, of letters, digits, '.', '_' and '-'")
        if self.language:
            try:
                languages.checked_tag(self.language)
            except ValueError as error:
                raise UsageError(str(error)) from error
        for source in self.sources:
            source.check()
            if self.report is not None and self.report.resolve().is_relative_to(source.path.resolve()):
                raise UsageError(f"{self.report} is in the source {source.path}; name a file elsewhere for `report`")
        for augmentation in self.augmentations:
            if augmentation not in AUGMENTATIONS:
                raise UnknownNameError("augmentation", augmentation, AUGMENTATIONS)
        if not self.overwrite:
            self._check_that_nothing_else_is_replaced()

    def _check_that_nothing_else_is_replaced(self) -> None:
        try:
            existing = prepared.load(self.name)
        except (UnknownNameError, DataError):  # there is none, or one that can only be prepared again
            return
        if {Path(source).resolve() for source in existing.sources} != {source.path.resolve() for source in self.sources}:
            raise UsageError(
                f"there is already a data set {self.name!r}, of {len(existing.images):,} images from "
                f"{', '.join(existing.sources)}; give this one another `name`, or replace that one with `overwrite=True`"
            )


def prepare(
    request: PreparationRequest, reporter: PreparationReporter | None = None, engine: "Engine | None" = None
) -> PreparedDataset:
    """Prepare a data set; what is in the cache already is not computed again.

    Args:
        request: What to prepare.
        reporter: Receives the progress.
        engine: Whose workers extract the features, if they are elsewhere; entered.

    Raises:
        UsageError: The request does not fit, or would replace a data set made of other sources.
        UnknownNameError: There is no encoder, layout or augmentation of that name.
        DataError: A source cannot be read, nothing in it can be used, or ``strict`` is set and there is a problem.
        StorageError: The cache or the data folder cannot be written.
    """
    reporter = reporter or PreparationReporter()
    encoder: EncoderSpec = ENCODERS[request.encoder]
    request.check()
    sources = [_load(source, reporter) for source in request.sources]
    with unpacking.in_use():
        # All is looked at before the encoder is converted, which may take a minute.
        store = FeatureStore(encoder_graph(encoder, request.encoder_weights).store_folder)
        report = _validate(request, sources, store, reporter)
        dataset = _dataset(request, report, reporter)
        with use_encoder(encoder, request.encoder_weights, lambda: reporter.on_convert(encoder)) as graph:
            # The data set is saved before the block ends, so that what it uses is in use until it is known to need it.
            _extract(dataset, graph, FeatureStore(graph.store_folder), request, reporter, engine)
            dataset.save()
            prepared.save_problems(request.name, report.problems)
    return dataset


def _load(source: DataSetSource, reporter: PreparationReporter) -> LoadedSource:
    with unpacking.reporting(reporter.on_unpack):
        dataset = datasets.read(source.path, source.layout, source.images, source.columns)
    reporter.on_read(source, dataset)
    return LoadedSource(dataset, source.weight, source.domain, source.use == Use.TRAIN)


def _validate(
    request: PreparationRequest, sources: Sequence[LoadedSource], store: FeatureStore, reporter: PreparationReporter
) -> ValidationReport:
    report = validate(
        sources,
        seed=request.seed,
        workers=request.workers,
        is_known=store.__contains__,
        on_progress=reporter.on_check,
        excluded=request.excluded,
    )
    reporter.on_validated(report)
    if request.report is not None:
        prepared.write_problems(request.report, report.problems)
    # What is left out as asked is no fault.
    faults = [problem for problem in report.problems if problem.kind != AS_ASKED]
    if report.images and not (request.strict and faults):
        return report
    listed = f"all are listed in {request.report}" if request.report else "`report=FILE.jsonl` lists all"
    if not report.images:
        raise DataError(f"nothing in {request.sources[0].path} can be used; {_commonest(report.problems)}; {listed}")
    count = "1 problem" if len(faults) == 1 else f"{len(faults):,} problems"
    raise DataError(f"{count}, and `strict=True`; {_commonest(faults)}; {listed}")


def _dataset(request: PreparationRequest, report: ValidationReport, reporter: PreparationReporter) -> PreparedDataset:
    language = languages.checked_tag(request.language) if request.language else _recognised(report)
    wanted = tuple(dict.fromkeys((PLAIN, *request.augmentations)))
    augmentations = tuple(name for name in wanted if name != MIRROR or language_sides(language))
    reporter.on_language(language, given=bool(request.language), without_mirror_images=augmentations != wanted)
    return PreparedDataset(
        name=request.name,
        images=tuple(report.images),
        encoder=request.encoder,
        encoder_weights=str(request.encoder_weights.resolve()) if request.encoder_weights else "",
        augmentations=augmentations,
        # Links are not followed: the names that a person gave are shown in the model card.
        sources=tuple(os.path.abspath(source.path) for source in request.sources),  # noqa: PTH100
        language=language,
    )


def _recognised(report: ValidationReport) -> str:
    """Recognise the language that the captioner will write in."""
    images = prepared.in_target_domain(report.images) or report.images
    return languages.recognise([caption for image in images for caption in image.captions])


def _extract(
    dataset: PreparedDataset,
    graph: EncoderGraph,
    store: FeatureStore,
    request: PreparationRequest,
    reporter: PreparationReporter,
    engine: "Engine | None",
) -> None:
    failed = extract(
        graph,
        store,
        [(image.image_hash, Path(image.path)) for image in dataset.images],
        dataset.augmentations,
        workers=request.workers,
        on_progress=reporter.on_extract,
        engine=engine,
    )
    if failed:
        raise DataError(f"{len(failed)} images could not be read again ({next(iter(failed.values()))}); run it again")


def _commonest(problems: Sequence[Problem]) -> str:
    """Say which kind of problem is the commonest, and where the first of it is."""
    if not problems:
        return "none of its images is used"
    kind, found = max(by_kind(problems).items(), key=lambda item: len(item[1]))
    times = "once" if len(found) == 1 else f"{len(found):,} times, first"
    return f"{kind}, {times} {found[0].where}" + (f" ({found[0].detail})" if found[0].detail else "")
