"""From a trained decoder to a bundle, after checking that LiteRT writes the captions that Keras writes."""

import io
import json
import tempfile
from pathlib import Path

import keras
import numpy as np

import capgen
from capgen import bundle, decoding, images, metrics
from capgen.bundle import Bundle, Description
from capgen.captioner import Captioner
from capgen.datasets.prepared import PreparedPicture
from capgen.errors import ImageError, TrainingError
from capgen.training import config as configs
from capgen.training.card import model_card
from capgen.training.export import to_litert
from capgen.training.features import Prepared
from capgen.training.loop import Trainer

PARITY_IMAGES = 50
"""Dev pictures captioned both ways before a bundle is accepted."""

TIE = 1e-3
"""Difference in score below which two captions are equally good, so that rounding may choose either."""


def export_captioner(trainer: Trainer, prepared: Prepared, place: Path) -> None:
    """Write the captioner that a run ends with.

    The weights are rounded to float16 first, so that what is scored here is exactly what is written.

    Args:
        trainer: Holds the best weights.
        prepared: The encoder.
        place: Where the bundle goes.

    Raises:
        TrainingError: LiteRT does not write the same captions, or a number is not finite.
        StorageError: It cannot be written; what was there before is as it was.
    """
    weights = _rounded_weights(trainer)
    captions = trainer.write_captions(trainer.dev_pictures, trainer.options)
    scores = metrics.score(captions, [picture.captions for picture in trainer.dev_pictures])
    description = Description(
        name=place.stem if place.suffix == bundle.SUFFIX else place.name,
        encoder={
            "name": prepared.encoder.name,
            "output": trainer.output,
            "key": prepared.key,
            "origin": prepared.encoder.origin,
        },
        decoder={"family": trainer.config.decoder, **vars(trainer.decoder.shape)},
        preprocessing=prepared.encoder.preprocessing,
        decoding=trainer.options,
        training={
            "capgen": capgen.__version__,
            "data": trainer.data.name,
            "sources": list(trainer.data.sources),
            "fingerprint": trainer.data.fingerprint,
            "images": len(trainer.train_pictures),
            "captions": sum(len(picture.captions) for picture in trainer.train_pictures),
            "epochs": len(trainer.epochs),
            "config": configs.to_mapping(trainer.config),
        },
        scores={"dev": scores},
    )
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / bundle.DECODER
        to_litert({"begin": trainer.steps.begin_model, "step": trainer.steps.step_model}, graph)
        contents = {
            bundle.VOCABULARY: json.dumps({"words": trainer.vocabulary.entries}, ensure_ascii=False).encode(),
            bundle.ENCODER: prepared.graph.read_bytes(),
            bundle.DECODER: graph.read_bytes(),
            bundle.WEIGHTS: weights,
            bundle.MODEL_CARD: model_card(description).encode(),
        }
        trial = Path(folder) / "trial"
        bundle.write(trial, description, contents)
        _check_parity(trainer, Captioner(Bundle(trial)))
    bundle.write(place, description, contents)


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


def _check_parity(trainer: Trainer, captioner: Captioner) -> None:
    """Caption dev pictures from their files with LiteRT, and from their cached features with Keras."""
    for picture in trainer.dev_pictures[:PARITY_IMAGES]:
        cached = trainer.store.rows([picture.image_hash], trainer.output).astype(np.float32)
        fresh = captioner.encode(_read(picture, captioner.preprocessing))[None]
        if not np.isfinite(fresh).all():
            raise TrainingError(f"the exported encoder gives numbers that are not finite for {picture.path}")
        found = (decoding.search(trainer.steps, cached, trainer.options)[0], captioner.search(fresh)[0])
        if not all(found):
            raise TrainingError(f"the decoder gives numbers that are not finite for {picture.path}")
        by_keras, by_litert = (hypotheses[0] for hypotheses in found)
        scores = [one.score(trainer.options.length_power) for one in (by_keras, by_litert)]
        if by_keras.ids != by_litert.ids and abs(scores[0] - scores[1]) > TIE:
            said = [trainer.vocabulary.decode(one.ids) for one in (by_keras, by_litert)]
            raise TrainingError(f"the export does not caption {picture.path} like the model: {said[1]!r}, not {said[0]!r}")


def _read(picture: PreparedPicture, preprocessing: images.Preprocessing) -> np.ndarray:
    try:
        return images.read(Path(picture.path), preprocessing)
    except ImageError as error:
        raise TrainingError(f"{picture.path}: {error}; put it back, then go on with --resume") from error
