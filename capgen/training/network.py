"""``CaptionNetwork``: a decoder that is trained, with its Keras models; ``CaptionGenerator``: captions with its weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np

from capgen.captioner import decoding
from capgen.captioner.slots import ClassScores
from capgen.datasets.prepared import PreparedImage
from capgen.training.decoders import DECODERS
from capgen.training.decoders.decoder import Decoder, DecoderConfig
from capgen.training.encoders.encoder import EncoderSpec
from capgen.training.fine_tuning import encoder_tail
from capgen.training.keras_decoder import KerasDecoder
from capgen.training.training_data import TrainingData
from capgen.training.warm_start import WarmStart

GENERATION_BATCH = 50
"""Images captioned at once, here and by the export."""


@dataclass(frozen=True)
class CaptionNetwork:
    """A decoder with the models over its layers; all of them share the weights, which training changes.

    Attributes:
        decoder: The layers.
        model: The training model: features, words and positions to logits.
        stepwise: The decoder as a search takes it, one word at a time.
        last_blocks: The encoder's last blocks, if they are fine-tuned together with the decoder.
        tail: ``last_blocks`` as the model from cached features (N, C, D) to those that the decoder takes.
    """

    decoder: Decoder
    model: keras.Model
    stepwise: KerasDecoder
    last_blocks: keras.Model | None = None
    tail: keras.Model | None = None

    @classmethod
    def build(
        cls,
        data: TrainingData,
        encoder: EncoderSpec,
        *,
        warm_start: WarmStart | None = None,
        last_blocks: keras.Model | None = None,
    ) -> "CaptionNetwork":
        """Build a decoder for an encoder's features and a vocabulary, with random weights or those of a warm start.

        Raises:
            TrainingError: The weights of the warm start are those of another decoder.
        """
        config = data.config
        family = DECODERS[config.decoder]
        cells, channels = encoder.outputs[encoder.output_for(family.preferred_output)]
        token_width = data.visual_words.token_width if data.visual_words else 0
        tail = encoder_tail(last_blocks, (cells, channels), token_width) if last_blocks else None
        if token_width:  # the class-probability token is one more cell with channels of its own
            cells, channels = cells + 1, channels + token_width
        decoder = family(
            DecoderConfig(
                cells=cells,
                channels=channels,
                vocabulary=len(data.vocabulary),
                embedding=config.embedding_size,
                state=config.lstm_size,
                heads=config.heads,
                dropout=config.dropout,
            )
        )
        model = decoder.training_model(config.max_words + 1, tail)
        if warm_start:
            warm_start.load_into(model, data.vocabulary)
        return cls(decoder, model, KerasDecoder(decoder), last_blocks, tail)

    def weights(self) -> dict[str, np.ndarray]:
        """Return a copy of the weights by the path of the variable, without the states of random generators."""
        return {variable.path: np.array(variable) for variable in self._weights()}

    def set_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Set the weights to what ``weights`` returned."""
        for variable in self._weights():
            variable.assign(weights[variable.path])

    def _weights(self) -> list[keras.Variable]:
        return [variable for variable in self.model.weights if "seed_generator" not in variable.path]


class CaptionGenerator:
    """Generates captions of images whose features are cached, with the present weights of a network.

    Args:
        data: The images' features and the vocabulary.
        network: The decoder.
    """

    def __init__(self, data: TrainingData, network: CaptionNetwork) -> None:
        self.text, self.constraints = data.text, data.constraints
        self._data, self._network = data, network

    @property
    def options(self) -> decoding.DecodingOptions:
        """How dev is captioned, which is the captioner's default but for the penalty of common captions.

        There is no guidance while an encoder is fine-tuned, because it changes what an average image is.
        """
        config = self._data.config
        guidance = 1.0 if self._network.tail else config.guidance
        return decoding.DecodingOptions(
            num_beams=config.num_beams,
            length_penalty=config.length_penalty,
            guidance=guidance,
            max_words=config.generation_max_words,
        )

    def captions(self, images: Sequence[PreparedImage]) -> list[str]:
        """Generate the best caption of each image."""
        captions = []
        for start in range(0, len(images), GENERATION_BATCH):
            keys = [image.image_hash for image in images[start : start + GENERATION_BATCH]]
            class_scores = [self._data.features.class_scores(key) for key in keys]
            found = self.search(self._features(keys), class_scores)
            captions += [
                self.text.decode(hypotheses[0].ids, scores) for hypotheses, scores in zip(found, class_scores, strict=True)
            ]
        return captions

    def search(self, features: np.ndarray, class_scores: Sequence[ClassScores | None]) -> list[list[decoding.Hypothesis]]:
        """Search captions with ``options``, of features as the decoder takes them, (N, C, D) float32."""
        processors = self.constraints.processors(list(class_scores))
        if self.options.guidance > 1:
            average = self.average_features.astype(np.float32)
            processors = [decoding.Guidance(self._network.stepwise, average, self.options.guidance), *processors]
        return decoding.search(self._network.stepwise, features, self.options, processors)

    @cached_property
    def average_features(self) -> np.ndarray:
        """The features of the average image of dev, (C, D) float16, which guidance contrasts an image with."""
        images = self._data.dev_images
        rows = (self._data.features.rows([image.image_hash])[0].astype(np.float32) for image in images)
        return (sum(rows) / len(images)).astype(np.float16)

    def _features(self, keys: Sequence[str]) -> np.ndarray:
        features = self._data.features.rows(keys).astype(np.float32)
        return self._network.tail.predict_on_batch(features) if self._network.tail else features
