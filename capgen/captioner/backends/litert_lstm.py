"""``Model``: a bundle and LiteRT on one thread of a program, pictures to captions."""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from capgen.captioner import bundle, decoding
from capgen.captioner.backends.litert import LiteRTSession
from capgen.captioner.backends.model import Capability, decoding_options
from capgen.captioner.constraints import Wording
from capgen.captioner.decoding import ATTENTION, Arrays, DecodingOptions
from capgen.captioner.request import CaptionRequest
from capgen.captioner.results import Attention, Caption, Likelihood
from capgen.captioner.slots import ClassScores, with_class_token
from capgen.captioner.vocabulary import END, words


@dataclass(frozen=True)
class EncodedImage:
    """What the encoder says of a picture.

    Attributes:
        features: (C, D) float32.
        guess: What of the captioner's names it may show, if it has names.
    """

    features: np.ndarray
    class_scores: ClassScores | None = None


class LiteRTSteps:
    """A bundle's decoder graph as the step function that a search takes.

    Args:
        graph: Its ``decoder.tflite``, opened.
    """

    def __init__(self, graph: LiteRTSession) -> None:
        """Keep the graph."""
        self._graph = graph

    def begin(self, features: np.ndarray) -> Arrays:
        """See ``StepFunction.begin``."""
        return self._graph.run("begin", {"features": features})

    def step(self, inputs: Arrays) -> Arrays:
        """See ``StepFunction.step``."""
        outputs = self._graph.run("step", inputs)
        outputs.pop(ATTENTION, None)
        return outputs


class LookingSteps(LiteRTSteps):
    """The same, with ``ATTENTION`` in what a step gives, if the graph has it."""

    def step(self, inputs: Arrays) -> Arrays:
        """See ``StepFunction.step``."""
        return self._graph.run("step", inputs)

    @property
    def looks(self) -> bool:
        """Whether the graph has it."""
        return ATTENTION in self._graph.outputs("step")


class LSTMCaptionModel:
    """Describes pictures and writes captions. Not safe to share between threads: make one a thread.

    Args:
        opened: The bundle.
        threads: Threads of one LiteRT call.
    """

    def __init__(self, opened: bundle.Bundle, threads: int) -> None:
        """Read the description; the graphs are opened when first used."""
        self.bundle = opened
        self._threads = threads
        self.preprocessing = opened.description.preprocessing
        self.options = opened.description.decoding
        self._calibration = opened.description.calibration
        self.wording = Wording(opened.vocabulary, opened.visual_words)
        self._output = opened.description.encoder["output"]

    @cached_property
    def _encoder(self) -> LiteRTSession:
        return LiteRTSession(self.bundle.graph(bundle.ENCODER), self._threads)

    @cached_property
    def _decoder(self) -> LiteRTSession:
        return LiteRTSession(self.bundle.graph(bundle.DECODER), self._threads)

    @cached_property
    def _image(self) -> np.ndarray:
        """What the encoder is given, (1, S, S, 3): memory that is new for each picture takes longer than filling it."""
        size = self.preprocessing.size
        return np.empty((1, size, size, 3), np.float32)

    @cached_property
    def _steps(self) -> LiteRTSteps:
        return LiteRTSteps(self._decoder)

    @cached_property
    def _looking(self) -> LookingSteps:
        return LookingSteps(self._decoder)

    def encode(self, pixels: np.ndarray) -> EncodedImage:
        """Describe a picture (S, S, 3) uint8."""
        self._image[0] = pixels
        outputs = self._encoder.run("encode", {"image": self._image})
        names = self.bundle.visual_words
        # what training saw came from a float16 cache
        grid = outputs[self._output][0].astype(np.float16).astype(np.float32)
        class_scores = names.class_scores(outputs["probabilities"].reshape(-1).astype(np.float16)) if names else None
        return EncodedImage(with_class_token(grid, class_scores.cell()) if class_scores else grid, class_scores)

    def missing(self, capability: Capability) -> str | None:
        """Return why it lacks a capability: it has all, but not every decoder has attention weights."""
        if capability is not Capability.ATTENTION or self._looking.looks:
            return None
        family = self.bundle.description.decoder.get("family")
        if family == "attention":
            return "it was trained before capgen kept that, train it again"
        return f"its decoder, {family}, has no attention; take a captioner with decoder attention"

    def resolve(self, request: CaptionRequest) -> DecodingOptions:
        """Return the options of a request, with the ids of its words."""
        return decoding_options(
            request, self.options, self.bundle.vocabulary.encode, suppress_in_names=self.bundle.visual_words is not None
        )

    def generate(
        self, images: Sequence[np.ndarray], request: CaptionRequest, *, output_attention: bool = False
    ) -> list[list[Caption]]:
        """Encode and caption a batch of images; see ``CaptionModel.generate``."""
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
        weights = decoding.attention(self._looking, image.features[None], [found.ids for found in hypotheses])
        return [
            replace(self._caption(found, image, options), attention=self._attention(found, of_words, image, options))
            for found, of_words in zip(hypotheses, weights, strict=True)
        ]

    def _attention(
        self, found: decoding.Hypothesis, shares: np.ndarray, picture: EncodedImage, options: DecodingOptions
    ) -> Attention:
        """Lay the shares (T, C) of the words of a hypothesis on the grid, and put the words as people read them."""
        opening = words(options.prompt)[: found.given]  # one word an id, and as it was typed even if unknown
        said = list(zip(opening, range(len(opening)), strict=True))
        said += self.wording.placed(found.ids, picture.class_scores, found.given)
        grid = shares[:, :-1] if picture.class_scores else shares  # the last cell is that of the classes
        side = math.isqrt(grid.shape[1])
        maps = grid[[place for _, place in said]].reshape(-1, side, side).astype(np.float32)
        total = maps.sum(axis=(1, 2), keepdims=True)
        return Attention(tuple(word for word, _ in said), maps / np.maximum(total, np.finfo(np.float32).tiny))

    def _caption(self, found: decoding.Hypothesis, picture: EncodedImage, options: DecodingOptions) -> Caption:
        said = " ".join(word for word, _ in self.wording.placed(found.ids, picture.class_scores, found.given))
        confidence = self._calibration.confidence(found.score(options.length_penalty))
        return Caption(f"{options.prompt} {said}".strip(), confidence, found.log_probability)

    def score(self, image: np.ndarray, captions: Sequence[str]) -> list[Likelihood]:
        """Return how likely captions of an image are: as a search sees them, but words may be repeated.

        Each caption is read in one way, with slots for all names that agree with the picture. A search may have found the
        same words in a likelier way.
        """
        picture = self.encode(image)
        ids = [self.wording.ids(caption, picture.class_scores) for caption in captions]
        steps = self.wording.led(self._guided(self.options), [picture.class_scores], repeating=True)
        found = decoding.log_likelihoods(steps, picture.features[None], ids)
        entries = self.bundle.vocabulary.entries
        return [
            Likelihood(caption, tuple(entries[index] for index in (*said, END)), tuple(scores.tolist()))
            for caption, said, scores in zip(captions, ids, found, strict=True)
        ]

    def search(
        self, pictures: Sequence[EncodedImage], options: DecodingOptions | None = None, keys: Sequence[int] | None = None
    ) -> list[list[decoding.Hypothesis]]:
        """Search captions of encoded images, by default in the bundle's own way.

        Args:
            pictures: What ``encode`` returned of each.
            options: How to search.
            keys: See ``decoding.search``.

        Returns:
            The hypotheses of each image, the best first.
        """
        options = options or self.options
        steps = self.wording.led(
            self._guided(options), [picture.class_scores for picture in pictures], options.suppressed_words
        )
        common = (
            self.bundle.common if options.common_caption_penalty and options.num_beams > 1 and not options.sampling else {}
        )
        return decoding.search(steps, np.stack([picture.features for picture in pictures]), options, keys, common)

    def _guided(self, options: DecodingOptions) -> decoding.StepFunction:
        return decoding.Guided(self._steps, self.bundle.average, options.guidance) if options.guidance > 1 else self._steps
