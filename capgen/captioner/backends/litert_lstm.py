"""The ``litert-lstm`` backend: an image encoder and a caption decoder as LiteRT graphs, searched with NumPy."""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from capgen.captioner import bundle, decoding
from capgen.captioner.backends.litert import LiteRTSession
from capgen.captioner.backends.model import Capability, decoding_options
from capgen.captioner.constraints import Constraints
from capgen.captioner.decoding import (
    ATTENTION,
    Arrays,
    DecoderOutput,
    DecodingOptions,
    Guidance,
    LogitsProcessor,
)
from capgen.captioner.request import CaptionRequest
from capgen.captioner.results import Attention, Caption, Likelihood
from capgen.captioner.slots import ClassScores, with_class_token
from capgen.captioner.text import CaptionText
from capgen.captioner.vocabulary import END


@dataclass(frozen=True)
class EncodedImage:
    """What the encoder returns for an image.

    Attributes:
        features: (C, D) float32.
        class_scores: What the classifier finds of the captioner's visual words, if the captioner has any.
    """

    features: np.ndarray
    class_scores: ClassScores | None = None


class LiteRTDecoder:
    """A bundle's decoder graph as a search takes it, one word at a time.

    Args:
        session: The opened ``decoder.tflite`` of the bundle.
    """

    def __init__(self, session: LiteRTSession) -> None:
        self._session = session

    def init_state(self, features: np.ndarray) -> tuple[Arrays, Arrays]:
        """Return encoder memory and decoder state of images (N, C, D); see ``StepwiseDecoder``."""
        return decoding.graph_memory_and_state(self._session.run("begin", {"features": features}))

    def step(self, words: np.ndarray, memory: Arrays, state: Arrays) -> DecoderOutput:
        """Score what may follow the words (R,); see ``StepwiseDecoder``."""
        return DecoderOutput.from_graph(self._session.run("step", {"words": words, **memory, **state}))

    @property
    def has_attention(self) -> bool:
        """Whether the graph returns attention weights."""
        return ATTENTION in self._session.outputs("step")


class LiteRTCaptionModel:
    """Encodes images and writes captions. It is not safe to share between threads: make one a thread.

    Args:
        opened: The bundle. Its graphs are opened when they are first used.
        threads: Threads of one LiteRT call.
    """

    def __init__(self, opened: bundle.Bundle, threads: int) -> None:
        self.bundle = opened
        self._threads = threads
        self.preprocessing = opened.description.preprocessing
        self.options = opened.description.decoding
        self._calibration = opened.description.calibration
        config = opened.description.constraints
        self.text = CaptionText(opened.vocabulary, opened.visual_words, config.min_class_probability)
        self._constraints = Constraints(opened.vocabulary, opened.visual_words, config)
        self._output = opened.description.encoder["output"]

    @cached_property
    def _encoder(self) -> LiteRTSession:
        return LiteRTSession(self.bundle.graph(bundle.ENCODER), self._threads)

    @cached_property
    def _decoder(self) -> LiteRTDecoder:
        return LiteRTDecoder(LiteRTSession(self.bundle.graph(bundle.DECODER), self._threads))

    @cached_property
    def _image(self) -> np.ndarray:
        """The input of the encoder, (1, S, S, 3): new memory for each image would take longer than filling it."""
        size = self.preprocessing.size
        return np.empty((1, size, size, 3), np.float32)

    def encode(self, pixels: np.ndarray) -> EncodedImage:
        """Encode an image (S, S, 3) uint8."""
        self._image[0] = pixels
        outputs = self._encoder.run("encode", {"image": self._image})
        names = self.bundle.visual_words
        # what training saw came from a float16 cache
        grid = outputs[self._output][0].astype(np.float16).astype(np.float32)
        class_scores = names.class_scores(outputs["probabilities"].reshape(-1).astype(np.float16)) if names else None
        return EncodedImage(with_class_token(grid, class_scores.token()) if class_scores else grid, class_scores)

    def why_not(self, capability: Capability) -> str | None:
        """Return why the model lacks a capability; only attention can be missing, since not every decoder has it."""
        if capability is not Capability.ATTENTION or self._decoder.has_attention:
            return None
        family = self.bundle.description.decoder.get("family")
        return (
            f"its decoder, {family}, gives no attention weights; take another captioner, or train it again if it is older "
            "than this version"
        )

    def resolve(self, request: CaptionRequest) -> DecodingOptions:
        """Return the options of a request, with the ids of its words."""
        return decoding_options(
            request, self.options, self.bundle.vocabulary.encode, suppress_in_names=self.bundle.visual_words is not None
        )

    def generate(
        self, images: Sequence[np.ndarray], request: CaptionRequest, *, output_attention: bool = False
    ) -> list[list[Caption]]:
        """Encode and caption a batch of images; see ``CaptionModel.generate``."""
        if not images:
            return []
        options = self.resolve(request)
        encoded = [self.encode(image) for image in images]
        seeds = [zlib.crc32(image.tobytes()) for image in images]  # what is in an image decides what is sampled for it
        captions = self._captions_with_attention if output_attention else self._captions
        return [
            captions(hypotheses, image, options)
            for image, hypotheses in zip(encoded, self.search(encoded, options, seeds), strict=True)
        ]

    def _captions(
        self, hypotheses: Sequence[decoding.Hypothesis], image: EncodedImage, options: DecodingOptions
    ) -> list[Caption]:
        return [self._caption(found, image, options) for found in hypotheses]

    def _captions_with_attention(
        self, hypotheses: Sequence[decoding.Hypothesis], image: EncodedImage, options: DecodingOptions
    ) -> list[Caption]:
        weights = decoding.attention_weights(self._decoder, image.features[None], [found.ids for found in hypotheses])
        return [
            replace(self._caption(found, image, options), attention=self._attention(found, of_words, image, options))
            for found, of_words in zip(hypotheses, weights, strict=True)
        ]

    def _attention(
        self, found: decoding.Hypothesis, weights: np.ndarray, image: EncodedImage, options: DecodingOptions
    ) -> Attention:
        """Lay the attention weights (T, C) of a hypothesis on the grid, word by word as people read the caption."""
        # One word an id, and as it was typed even if unknown.
        prompt = self.text.vocabulary.words(options.prompt)[: found.prompt_length]
        placed = list(zip(prompt, range(len(prompt)), strict=True))
        placed += self.text.decode_with_positions(found.ids, image.class_scores, found.prompt_length)
        cells = weights[:, :-1] if image.class_scores else weights  # the last one is the class-probability token
        side = math.isqrt(cells.shape[1])
        maps = cells[[position for _, position in placed]].reshape(-1, side, side).astype(np.float32)
        total = maps.sum(axis=(1, 2), keepdims=True)
        return Attention(tuple(word for word, _ in placed), maps / np.maximum(total, np.finfo(np.float32).tiny))

    def _caption(self, found: decoding.Hypothesis, image: EncodedImage, options: DecodingOptions) -> Caption:
        placed = self.text.decode_with_positions(found.ids, image.class_scores, found.prompt_length)
        text = self.text.vocabulary.join([*filter(None, [options.prompt]), *(word for word, _ in placed)])
        confidence = self._calibration.confidence(found.score(options.length_penalty))
        return Caption(text, confidence, found.log_probability)

    def score(self, image: np.ndarray, captions: Sequence[str]) -> list[Likelihood]:
        """Return how likely captions of an image are: as a search scores them, but words may be repeated.

        Each caption is read in one way, with slots for all names that agree with the classifier. A search may have found the
        same words in a likelier way.
        """
        encoded = self.encode(image)
        ids = [self.text.encode(caption, encoded.class_scores) for caption in captions]
        processors = [
            *self._guidance(self.options), *self._constraints.processors([encoded.class_scores], allow_repeats=True)
        ]  # fmt: skip
        found = decoding.log_likelihoods(self._decoder, encoded.features[None], ids, processors)
        entries, language = self.bundle.vocabulary.entries, self.bundle.vocabulary.language
        return [
            Likelihood(caption, tuple(entries[index] for index in (*read, END)), tuple(scores.tolist()), language)
            for caption, read, scores in zip(captions, ids, found, strict=True)
        ]

    def search(
        self, images: Sequence[EncodedImage], options: DecodingOptions | None = None, seeds: Sequence[int] | None = None
    ) -> list[list[decoding.Hypothesis]]:
        """Search captions of encoded images.

        Args:
            images: What ``encode`` returned for each.
            options: How to search; the bundle's own way by default.
            seeds: See ``decoding.search``.

        Returns:
            The hypotheses of each image, the best first.
        """
        options = options or self.options
        constraints = self._constraints.processors([image.class_scores for image in images], options.suppressed_words)
        common = self.bundle.common if options.common_caption_penalty and options.strategy == "beam" else {}
        features = np.stack([image.features for image in images])  # (N, C, D)
        return decoding.search(self._decoder, features, options, [*self._guidance(options), *constraints], seeds, common)

    def _guidance(self, options: DecodingOptions) -> list[LogitsProcessor]:
        return [Guidance(self._decoder, self.bundle.average, options.guidance)] if options.guidance > 1 else []
