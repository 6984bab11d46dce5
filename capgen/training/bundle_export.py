"""From a trained decoder to a bundle, after checking that LiteRT writes the captions that Keras writes.

The check has two halves. The graph with float16 weights must say what Keras says, picture by picture: that is the proof
that the conversion is right. The same graph with int8 weights is three to four times as fast and rounds enough to choose
another word now and then, so it is held to the score of its captions on the whole dev split, and shipped if it keeps it.
"""

import dataclasses
import io
import math
import os
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

import capgen
from capgen import images
from capgen.captioner import bundle, decoding
from capgen.captioner.backends.litert_lstm import EncodedImage, LSTMCaptionModel
from capgen.captioner.bundle import Bundle, Description
from capgen.captioner.calibration import Calibration
from capgen.datasets.prepared import PreparedImage, in_target_domain
from capgen.errors import ImageError, TrainingError
from capgen.evaluation import metrics
from capgen.storage import files
from capgen.training import config as configs
from capgen.training.calibration import calibrate, close
from capgen.training.encoder_graph import EncoderGraph
from capgen.training.history import TrainingReporter
from capgen.training.litert_export import Weights, to_litert
from capgen.training.loop import DEV_BATCH, Trainer
from capgen.training.model_card import model_card

PARITY_IMAGES = 50
"""Dev pictures captioned both ways before a bundle is accepted."""

TIE = 1e-3
"""Difference in score below which two captions are equally good, so that rounding may choose either."""

MAXIMUM_COMMON = 10_000
"""Captions at most that a captioner knows to be common."""

MAXIMUM_LOSS = 0.005
"""CIDEr-D on dev that int8 weights may cost; a graph that loses more is kept with float16 weights."""


@dataclass(frozen=True)
class ExportedCaptioner:
    """A captioner that is ready to be written.

    Attributes:
        description: What it is; its name is that of its run until it is written.
        contents: The bytes of its files by name, without the description and the model card.
    """

    description: Description
    contents: dict[str, bytes]


def write_captioner(target: Path, exported: ExportedCaptioner) -> None:
    """Write a captioner, named after its folder or file, with its model card.

    Raises:
        StorageError: It cannot be written; what was there before is as it was.
    """
    name = target.stem if target.suffix == bundle.SUFFIX else target.name
    description = dataclasses.replace(exported.description, name=name)
    bundle.write(target, description, {**exported.contents, bundle.MODEL_CARD: model_card(description).encode()})


def export_captioner(trainer: Trainer, prepared: EncoderGraph, run: str, reporter: TrainingReporter) -> ExportedCaptioner:
    """Make the captioner that a run ends with.

    The weights are rounded to float16 first, so that what is scored here is exactly what is written.

    Args:
        trainer: Holds the best weights.
        prepared: The encoder.
        run: Name of the run's folder.
        reporter: Who is told.

    Raises:
        TrainingError: LiteRT does not write the same captions as Keras, or a number is not finite.
    """
    weights = _rounded_weights(trainer)
    description = Description(
        name=run,
        encoder={
            "name": prepared.encoder.name,
            "output": trainer.output,
            "fingerprint": prepared.fingerprint,
            "origin": prepared.encoder.origin
            + ("; its last blocks trained further" if trainer.config.encoder_epochs else ""),
        },
        decoder={
            "family": trainer.config.decoder,
            **vars(trainer.decoder.shape),
            "names": len(trainer.visual_words.names) if trainer.visual_words else 0,
        },
        preprocessing=prepared.encoder.preprocessing,
        decoding=trainer.options,
        calibration=Calibration(0.0, 0.0, {}),  # fitted below, on what this very graph writes
        training={
            "capgen": capgen.__version__,
            "data": trainer.data.name,
            "run": run,
            "sources": [Path(source).name for source in trainer.data.sources],  # not where somebody keeps them
            "fingerprint": trainer.data.fingerprint,
            "images": len(trainer.train_pictures),
            "captions": sum(len(picture.captions) for picture in trainer.train_pictures),
            "epochs": len(trainer.epochs),
            "config": configs.to_mapping(trainer.config),
        },
    )
    contents = {
        bundle.VOCABULARY: files.json_text(trainer.vocabulary.plain()).encode(),
        bundle.ENCODER: prepared.path.read_bytes(),
        bundle.WEIGHTS: weights,
    }
    if trainer.visual_words:
        contents[bundle.NAMES] = files.json_text(trainer.visual_words.plain()).encode()
    if trainer.options.guidance > 1:
        contents[bundle.AVERAGE] = _npy(trainer.average)
    with tempfile.TemporaryDirectory() as folder:
        exact, small = (_trial(Path(folder) / kind, description, contents, trainer, kind) for kind in ("float16", "int8"))
        _check_parity(trainer, exact)
        chosen = max(
            (_DevCaptions(trainer, exact), _DevCaptions(trainer, small, head_start=MAXIMUM_LOSS)), key=_DevCaptions.rank
        )
        if trainer.config.common_caption_penalty:
            contents[bundle.COMMON] = _common(trainer, chosen.model, reporter)
            chosen = _DevCaptions(trainer, _varied(Path(folder) / "varied", trainer, chosen.model.bundle, contents))
        description = dataclasses.replace(
            chosen.model.bundle.description, calibration=chosen.calibration(), scores={"dev": chosen.scores}
        )
        contents[bundle.DECODER] = chosen.model.bundle.read(bundle.DECODER)
    return ExportedCaptioner(description, contents)


def _trial(
    folder: Path, description: Description, contents: dict[str, bytes], trainer: Trainer, kind: Weights
) -> LSTMCaptionModel:
    """Make the captioner whose decoder graph has weights of a kind."""
    graph = folder.with_suffix(".tflite")
    to_litert({"begin": trainer.steps.begin_model, "step": trainer.steps.step_model}, graph, kind)
    described = dataclasses.replace(description, decoder={**description.decoder, "weights": kind})
    return _model(folder, described, {**contents, bundle.DECODER: graph.read_bytes()})


def _model(folder: Path, description: Description, contents: dict[str, bytes]) -> LSTMCaptionModel:
    bundle.write(folder, description, contents)
    return LSTMCaptionModel(Bundle(folder), os.cpu_count() or 1)


def _common(trainer: Trainer, model: LSTMCaptionModel, reporter: TrainingReporter) -> bytes:
    """List the captions that a graph says of several training pictures, as how many and the ids, the commonest first.

    Those with slots are left out: what fills them makes them different captions.
    """
    pictures = in_target_domain(trainer.train_pictures)
    said: Counter[tuple[int, ...]] = Counter()
    for start in range(0, len(pictures), DEV_BATCH):
        reporter.on_caption(start, len(pictures))
        cached = [_cached(trainer, picture) for picture in pictures[start : start + DEV_BATCH]]
        said.update(hypotheses[0].ids for hypotheses in model.search(cached) if hypotheses)
    common = Counter({ids: times for ids, times in said.items() if times > 1 and not model.text.has_slots(ids)})
    return files.json_text([[times, *ids] for ids, times in common.most_common(MAXIMUM_COMMON)]).encode()


def _varied(folder: Path, trainer: Trainer, plain: Bundle, contents: dict[str, bytes]) -> LSTMCaptionModel:
    """Make the captioner that says less often what is common."""
    options = dataclasses.replace(plain.description.decoding, common_caption_penalty=trainer.config.common_caption_penalty)
    description = dataclasses.replace(plain.description, decoding=options)
    return _model(folder, description, {**contents, bundle.DECODER: plain.read(bundle.DECODER)})


class _DevCaptions:
    """What a graph writes for the dev split, from its cached features.

    Args:
        trainer: The dev split.
        model: The graph.
        head_start: CIDEr-D that it may have less than another and still be preferred.
    """

    def __init__(self, trainer: Trainer, model: LSTMCaptionModel, head_start: float = 0.0) -> None:
        self.model, self._head_start = model, head_start
        self._references = [picture.captions for picture in trainer.dev_pictures]
        self._captions, scores = [], []
        for start in range(0, len(trainer.dev_pictures), DEV_BATCH):
            cached = [_cached(trainer, picture) for picture in trainer.dev_pictures[start : start + DEV_BATCH]]
            for picture, hypotheses in zip(cached, model.search(cached), strict=True):
                best = hypotheses[0] if hypotheses else decoding.Hypothesis((), -math.inf)  # numbers that are not finite
                self._captions.append(model.text.decode(best.ids, picture.class_scores))
                scores.append(best.score(trainer.options.length_penalty))
        self._ranks = np.array(scores)
        self.scores = metrics.score(self._captions, self._references)

    def rank(self) -> float:
        return self.scores["CIDEr-D"] + self._head_start

    def calibration(self) -> Calibration:
        return calibrate(self._ranks, close(self._captions, self._references))


def _rounded_weights(trainer: Trainer) -> bytes:
    """Round the decoder's weights to float16 in place, and return them as an ``.npz`` by variable path."""
    arrays = {}
    for variable in trainer.model.weights:
        if "seed_generator" in variable.path:
            continue
        rounded = keras.ops.convert_to_numpy(variable).astype(np.float16)
        if not np.isfinite(rounded).all():
            raise TrainingError(f"weight {variable.path} is not finite; train anew with a smaller learning_rate")
        variable.assign(rounded.astype(np.float32))
        arrays[variable.path] = rounded
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _check_parity(trainer: Trainer, captioner: LSTMCaptionModel) -> None:
    """Caption dev pictures from their files with LiteRT, and from their cached features with Keras."""
    for picture in trainer.dev_pictures[:PARITY_IMAGES]:
        cached = _cached(trainer, picture)
        fresh = captioner.encode(_read(picture, captioner.preprocessing))
        if not np.isfinite(fresh.features).all():
            raise TrainingError(f"the exported encoder gives numbers that are not finite for {picture.path}")
        found = (
            trainer.search(cached.features[None], [cached.class_scores], trainer.options)[0],
            captioner.search([fresh])[0],
        )
        if not all(found):
            raise TrainingError(f"the decoder gives numbers that are not finite for {picture.path}")
        by_keras, by_litert = (hypotheses[0] for hypotheses in found)
        scores = [one.score(trainer.options.length_penalty) for one in (by_keras, by_litert)]
        if by_keras.ids != by_litert.ids and abs(scores[0] - scores[1]) > TIE:
            said = [trainer.text.decode(one.ids, cached.class_scores) for one in (by_keras, by_litert)]
            raise TrainingError(f"the export does not caption {picture.path} like the model: {said[1]!r}, not {said[0]!r}")


def _cached(trainer: Trainer, picture: PreparedImage) -> EncodedImage:
    """Describe a picture from the cache."""
    features = trainer.features.rows([picture.image_hash])[0].astype(np.float32)
    return EncodedImage(features, trainer.features.class_scores(picture.image_hash))


def _read(picture: PreparedImage, preprocessing: images.Preprocessing) -> np.ndarray:
    try:
        return images.read(Path(picture.path), preprocessing)
    except ImageError as error:
        raise TrainingError(f"{picture.path}: {error}; put it back, then go on with --resume") from error
