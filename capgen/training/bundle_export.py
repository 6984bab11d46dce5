"""From a trained decoder to a bundle, after checking that LiteRT writes the captions that Keras writes.

The check has two halves. The graph with float16 weights must caption each image like Keras, which shows that the conversion
is right. The same graph with int8 weights is three to four times as fast, and rounds enough to choose another word now and
then. It is compared by the score of its captions on the whole dev split, and exported if it loses little.
"""

import dataclasses
import io
import math
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import capgen
from capgen import images
from capgen.captioner import bundle, decoding
from capgen.captioner.backends.litert_lstm import EncodedImage, LiteRTCaptionModel
from capgen.captioner.bundle import Bundle, Description
from capgen.captioner.calibration import Calibration
from capgen.datasets.prepared import PreparedImage, in_target_domain
from capgen.errors import ImageError, TrainingError
from capgen.evaluation import metrics
from capgen.storage import files
from capgen.storage.platform import processors
from capgen.training import config as configs
from capgen.training.calibration import calibrate, is_close
from capgen.training.encoder_graph import EncoderGraph
from capgen.training.history import TrainingReporter
from capgen.training.litert_export import WeightType, to_litert
from capgen.training.model_card import model_card
from capgen.training.network import GENERATION_BATCH
from capgen.training.trained_captioner import TrainedCaptioner

PARITY_IMAGES = 50
"""Dev images captioned by Keras and by LiteRT before a bundle is accepted."""

TIE = 1e-3
"""Two captions whose scores differ by less than this are equally good, so that rounding may choose either."""

MAX_COMMON_CAPTIONS = 10_000
"""The greatest number of common captions that a bundle keeps."""

MAX_INT8_LOSS = 0.005
"""What of the primary metric on dev int8 weights may cost; a graph that loses more is exported with float16 weights."""


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


def export_captioner(
    captioner: TrainedCaptioner, encoder: EncoderGraph, run: str, reporter: TrainingReporter
) -> ExportedCaptioner:
    """Export the captioner that a run ends with.

    The weights of the network are rounded to float16 first, so that the scores are those of exactly what is written.

    Args:
        captioner: The captioner with its best weights.
        encoder: Its encoder.
        run: The name of the run's folder.
        reporter: Receives the progress.

    Raises:
        TrainingError: LiteRT does not write the same captions as Keras, or a number is not finite.
    """
    weights = _float16(captioner.network.weights())
    captioner.network.set_weights({path: array.astype(np.float32) for path, array in weights.items()})
    contents = {
        bundle.WEIGHTS: _npz(weights),
        bundle.VOCABULARY: files.json_text(captioner.vocabulary.plain()).encode(),
        bundle.ENCODER: encoder.path.read_bytes(),
    }
    if captioner.visual_words:
        contents[bundle.NAMES] = files.json_text(captioner.visual_words.plain()).encode()
    if captioner.generator.options.guidance > 1:
        contents[bundle.AVERAGE] = _npy(captioner.generator.average_features)
    description = _describe(captioner, encoder, run)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        reporter.on_export("converting the decoder")
        float16 = _convert(folder / "float16", description, contents, captioner, "float16")
        _check_parity(captioner, float16, reporter)
        reporter.on_export("converting the decoder to int8")
        int8 = _convert(folder / "int8", description, contents, captioner, "int8")
        chosen = _better(_DevResult.of(captioner, float16, reporter), _DevResult.of(captioner, int8, reporter))
        if captioner.data.config.common_caption_penalty:
            contents[bundle.COMMON] = _common_captions(captioner, chosen.model, reporter)
            penalised = _with_penalty(folder / "penalised", captioner, chosen.model.bundle, contents)
            chosen = _DevResult.of(captioner, penalised, reporter)
        contents[bundle.DECODER] = chosen.model.bundle.read(bundle.DECODER)
    description = dataclasses.replace(
        chosen.model.bundle.description, calibration=chosen.calibration(), scores={"dev": chosen.scores}
    )
    return ExportedCaptioner(description, contents)


def _describe(captioner: TrainedCaptioner, encoder: EncoderGraph, run: str) -> Description:
    """Describe a captioner, but for its calibration and scores, which are measured on what the exported graph writes."""
    data, decoder = captioner.data, captioner.network.decoder
    config, dataset, train_images = data.config, data.dataset, data.train_images
    fine_tuned = "; its last blocks trained further" if config.encoder_epochs else ""
    return Description(
        name=run,
        encoder={
            "name": encoder.encoder.name,
            "output": encoder.encoder.output_for(decoder.preferred_output),
            "fingerprint": encoder.fingerprint,
            "origin": encoder.encoder.origin + fine_tuned,
        },
        decoder={
            "family": config.decoder,
            **vars(decoder.config),
            "names": len(data.visual_words.names) if data.visual_words else 0,
        },
        preprocessing=encoder.encoder.preprocessing,
        decoding=captioner.generator.options,
        calibration=Calibration(0.0, 0.0, {}),
        constraints=data.constraint_config,
        training={
            "capgen": capgen.__version__,
            "data": dataset.name,
            "run": run,
            "sources": [Path(source).name for source in dataset.sources],  # the folders are private
            "fingerprint": dataset.fingerprint,
            "images": len(train_images),
            "captions": sum(len(image.captions) for image in train_images),
            "language": data.language,
            "epochs": len(captioner.epochs),
            "config": configs.to_mapping(config),
        },
    )


def _convert(
    folder: Path, description: Description, contents: dict[str, bytes], captioner: TrainedCaptioner, weights: WeightType
) -> LiteRTCaptionModel:
    """Convert the decoder to a graph with weights of a type, and open a captioner with it."""
    graph = folder.with_suffix(".tflite")
    stepwise = captioner.network.stepwise
    to_litert({"begin": stepwise.init_model, "step": stepwise.step_model}, graph, weights)
    description = dataclasses.replace(description, decoder={**description.decoder, "weights": weights})
    return _opened(folder, description, {**contents, bundle.DECODER: graph.read_bytes()})


def _with_penalty(
    folder: Path, captioner: TrainedCaptioner, plain: Bundle, contents: dict[str, bytes]
) -> LiteRTCaptionModel:
    """Open the captioner with the penalty of common captions."""
    penalty = captioner.data.config.common_caption_penalty
    options = dataclasses.replace(plain.description.decoding, common_caption_penalty=penalty)
    description = dataclasses.replace(plain.description, decoding=options)
    return _opened(folder, description, {**contents, bundle.DECODER: plain.read(bundle.DECODER)})


def _opened(folder: Path, description: Description, contents: dict[str, bytes]) -> LiteRTCaptionModel:
    bundle.write(folder, description, contents)
    return LiteRTCaptionModel(Bundle(folder), processors())


def _common_captions(captioner: TrainedCaptioner, model: LiteRTCaptionModel, reporter: TrainingReporter) -> bytes:
    """List the captions that a model gives to several training images, each as its count and its ids, the commonest first.

    Captions with slots are left out, because they become different captions when the slots are filled.
    """
    train = in_target_domain(captioner.data.train_images)
    counts: Counter[tuple[int, ...]] = Counter()
    done = 0
    for batch in _encoded_batches(captioner, train):
        reporter.on_caption(done, len(train))
        counts.update(hypotheses[0].ids for hypotheses in model.search(batch) if hypotheses)
        done += len(batch)
    common = Counter({ids: count for ids, count in counts.items() if count > 1 and not model.text.has_slots(ids)})
    return files.json_text([[count, *ids] for ids, count in common.most_common(MAX_COMMON_CAPTIONS)]).encode()


@dataclass(frozen=True)
class _DevResult:
    """What a model writes for the dev split, from cached features.

    Attributes:
        model: The model.
        likelihoods: The score of each caption, by which hypotheses are ranked, (N,).
        close: Whether each caption is close to a human one, (N,) bool.
        scores: The metrics by name.
    """

    model: LiteRTCaptionModel
    likelihoods: np.ndarray
    close: np.ndarray
    scores: dict[str, float]

    @classmethod
    def of(cls, captioner: TrainedCaptioner, model: LiteRTCaptionModel, reporter: TrainingReporter) -> "_DevResult":
        """Caption the dev split."""
        dev = captioner.data.dev_images
        captions: list[str] = []
        likelihoods: list[float] = []
        for batch in _encoded_batches(captioner, dev):
            reporter.on_export("captioning the dev images", len(captions), len(dev))
            for image, hypotheses in zip(batch, model.search(batch), strict=True):
                # there is no hypothesis where a number is not finite
                best = hypotheses[0] if hypotheses else decoding.Hypothesis((), -math.inf)
                captions.append(model.text.decode(best.ids, image.class_scores))
                likelihoods.append(best.score(captioner.generator.options.length_penalty))
        references = [image.captions for image in dev]
        language = captioner.data.language
        scores = metrics.score(captions, references, language=language)
        return cls(model, np.array(likelihoods), is_close(captions, references, language), scores)

    def calibration(self) -> Calibration:
        """Fit the calibration of the model."""
        return calibrate(self.likelihoods, self.close)


def _better(float16: _DevResult, int8: _DevResult) -> _DevResult:
    """Choose the int8 weights unless they cost more of the primary metric than they may."""
    return float16 if _primary(float16) >= _primary(int8) + MAX_INT8_LOSS else int8


def _primary(result: _DevResult) -> float:
    """Return the score by the primary metric; 0 where it is not defined, so that all scores are equal."""
    return result.scores.get(metrics.PRIMARY, 0.0)


def _float16(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return weights by variable path, rounded to float16.

    Raises:
        TrainingError: A weight is not finite as a float16 number.
    """
    weights = {path: array.astype(np.float16) for path, array in weights.items()}
    for path, array in weights.items():
        if not np.isfinite(array).all():
            raise TrainingError(f"weight {path} is not finite; train anew with a smaller learning_rate")
    return weights


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _check_parity(captioner: TrainedCaptioner, model: LiteRTCaptionModel, reporter: TrainingReporter) -> None:
    """Caption dev images from their files with LiteRT, and from their cached features with Keras.

    Raises:
        TrainingError: The captions differ, or a number is not finite.
    """
    generator, compared = captioner.generator, captioner.data.dev_images[:PARITY_IMAGES]
    for done, image in enumerate(compared):
        reporter.on_export("checking its captions", done, len(compared))
        cached = _encoded(captioner, image)
        encoded = model.encode(_read(image, model.preprocessing))
        if not np.isfinite(encoded.features).all():
            raise TrainingError(f"the exported encoder gives numbers that are not finite for {image.path}")
        hypotheses = (
            generator.search(cached.features[None], [cached.class_scores])[0],
            model.search([encoded])[0],
        )
        if not all(hypotheses):
            raise TrainingError(f"the decoder gives numbers that are not finite for {image.path}")
        by_keras, by_litert = (found[0] for found in hypotheses)
        scores = [found.score(generator.options.length_penalty) for found in (by_keras, by_litert)]
        if by_keras.ids != by_litert.ids and abs(scores[0] - scores[1]) > TIE:
            texts = [generator.text.decode(found.ids, cached.class_scores) for found in (by_keras, by_litert)]
            raise TrainingError(f"the export does not caption {image.path} like the model: {texts[1]!r}, not {texts[0]!r}")


def _encoded_batches(captioner: TrainedCaptioner, images: Sequence[PreparedImage]) -> Iterator[list[EncodedImage]]:
    """Yield cached images in batches."""
    for start in range(0, len(images), GENERATION_BATCH):
        yield [_encoded(captioner, image) for image in images[start : start + GENERATION_BATCH]]


def _encoded(captioner: TrainedCaptioner, image: PreparedImage) -> EncodedImage:
    """Return an image as the encoder has encoded it, from the cache."""
    features = captioner.data.features.rows([image.image_hash])[0].astype(np.float32)
    return EncodedImage(features, captioner.data.features.class_scores(image.image_hash))


def _read(image: PreparedImage, preprocessing: images.Preprocessing) -> np.ndarray:
    try:
        return images.read(Path(image.path), preprocessing)
    except ImageError as error:
        raise TrainingError(f"{image.path}: {error}; put it back, then go on with `resume=True`") from error
