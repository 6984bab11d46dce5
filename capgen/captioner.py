"""``Captioner``: a bundle and LiteRT, pictures to captions."""

import math
import os
from functools import cached_property
from pathlib import Path

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


class Captioner:
    """Writes captions. Not safe to share between threads: make one a thread.

    Args:
        opened: The bundle.
        threads: Threads of one LiteRT call; all processors by default.
    """

    def __init__(self, opened: bundle.Bundle, threads: int | None = None) -> None:
        """Read the description; the graphs are opened when first used."""
        self.bundle = opened
        self._threads = threads or os.cpu_count() or 1
        self.preprocessing = opened.description.preprocessing
        self.options = opened.description.decoding
        self._output = opened.description.encoder["output"]

    @cached_property
    def _encoder(self) -> Graph:
        return Graph(self.bundle.graph(bundle.ENCODER), self._threads)

    @cached_property
    def _steps(self) -> LiteRTSteps:
        return LiteRTSteps(Graph(self.bundle.graph(bundle.DECODER), self._threads))

    @classmethod
    def load(cls, model: str | Path | None = None, threads: int | None = None) -> "Captioner":
        """Open a captioner.

        Args:
            model: A name or a path; the captioner that ships by default.
            threads: Threads of one LiteRT call; all processors by default.

        Raises:
            UnknownNameError: There is none of that name.
            BundleError: It is missing, incomplete, changed or of another version.
        """
        return cls(bundle.Bundle(bundle.find(model)), threads)

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Describe a picture: (S, S, 3) uint8 to features (C, D) float32."""
        outputs = self._encoder.run("encode", {"image": pixels[None].astype(np.float32)})
        # what training saw came from a float16 cache
        return outputs[self._output][0].astype(np.float16).astype(np.float32)

    def write(self, features: np.ndarray, options: DecodingOptions | None = None) -> list[list[Caption]]:
        """Caption a batch of described pictures.

        Args:
            features: (N, C, D).
            options: How to search; the bundle's own way by default.

        Returns:
            For each picture its captions, the best first.
        """
        words = self.bundle.vocabulary
        return [
            [Caption(words.decode(found.ids), math.exp(found.log_probability)) for found in hypotheses]
            for hypotheses in self.search(features, options)
        ]

    def search(self, features: np.ndarray, options: DecodingOptions | None = None) -> list[list[decoding.Hypothesis]]:
        """Do what ``write`` does, and return word ids and log-probabilities."""
        return decoding.search(self._steps, features, options or self.options)
