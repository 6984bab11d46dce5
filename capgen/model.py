"""``Model``: a bundle and LiteRT on one thread of a program, pictures to captions."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from capgen import bundle, decoding
from capgen.decoding import Arrays, DecodingOptions
from capgen.litert import Graph
from capgen.results import Caption


class LiteRTSteps:
    """A bundle's decoder graph as the step function that a search takes.

    Args:
        graph: Its ``decoder.tflite``, opened.
    """

    def __init__(self, graph: Graph) -> None:
        """Keep the graph."""
        self._graph = graph

    def begin(self, features: np.ndarray) -> Arrays:
        """See ``StepFunction.begin``."""
        return self._graph.run("begin", {"features": features})

    def step(self, inputs: Arrays) -> Arrays:
        """See ``StepFunction.step``."""
        return self._graph.run("step", inputs)


class Model:
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
        self._output = opened.description.encoder["output"]

    @cached_property
    def _encoder(self) -> Graph:
        return Graph(self.bundle.graph(bundle.ENCODER), self._threads)

    @cached_property
    def _steps(self) -> LiteRTSteps:
        return LiteRTSteps(Graph(self.bundle.graph(bundle.DECODER), self._threads))

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Describe a picture: (S, S, 3) uint8 to features (C, D) float32."""
        outputs = self._encoder.run("encode", {"image": pixels[None].astype(np.float32)})
        # what training saw came from a float16 cache
        return outputs[self._output][0].astype(np.float16).astype(np.float32)

    def write(
        self, features: np.ndarray, options: DecodingOptions | None = None, keys: Sequence[int] | None = None
    ) -> list[list[Caption]]:
        """Caption a batch of described pictures.

        Args:
            features: (N, C, D).
            options: How to search; the bundle's own way by default.
            keys: See ``decoding.search``.

        Returns:
            For each picture its captions, the best first.
        """
        options = options or self.options
        return [
            [self._caption(found, options) for found in hypotheses] for hypotheses in self.search(features, options, keys)
        ]

    def _caption(self, found: decoding.Hypothesis, options: DecodingOptions) -> Caption:
        said = self.bundle.vocabulary.decode(found.ids[found.given :])
        confidence = self._calibration.confidence(found.score(options.length_power))
        return Caption(f"{options.opening} {said}".strip(), confidence, found.log_probability)

    def search(
        self, features: np.ndarray, options: DecodingOptions | None = None, keys: Sequence[int] | None = None
    ) -> list[list[decoding.Hypothesis]]:
        """Do what ``write`` does, and return word ids and log-probabilities."""
        return decoding.search(self._steps, features, options or self.options, keys)
