"""Metrics that the programs of their authors compute, in Java, which ``pip install capgen[java]`` brings.

No other program gives the same numbers, so the scores are not computed where these programs cannot run. The programs are for
English: their word lists and parsers know no other language.
"""

import importlib.util
import shutil
import subprocess
from abc import abstractmethod
from collections.abc import Sequence

from capgen.captioner.language import is_english
from capgen.errors import one_line
from capgen.evaluation.metrics.metric import Candidates, Metric, Need, OnProgress, Score, UnavailableError, unreported

Captions = dict[int, list[str]]
"""The captions of each image by its number, their tokens joined by spaces; what pycocoevalcap takes."""


class JavaMetric(Metric):
    """A metric that a program in Java computes, which is started once for all systems."""

    needs = frozenset({Need.REFERENCES, Need.JAVA})

    @abstractmethod
    def run(self, systems: Sequence[tuple[Captions, Captions]], on_progress: OnProgress) -> list[Score]:
        """Run the program on the captions of systems, each with the human captions of its images.

        Args:
            systems: The captions of each system, and the human captions of the same images.
            on_progress: Called for each caption, if the program takes them one by one.

        Raises:
            OSError: The program cannot run.
            ValueError: It answers with something else than scores.
            SubprocessError: It fails.
        """

    def compute(self, systems: Sequence[Candidates], on_progress: OnProgress = unreported) -> list[Score]:
        """Score the captions of each system.

        Raises:
            UnavailableError: The captions are not English, Java or the program is missing, or it fails.
        """
        if others := sorted({system.language for system in systems if not is_english(system.language)}):
            raise UnavailableError(f"only for English, and these captions are in {others[0]}")
        if importlib.util.find_spec("pycocoevalcap") is None:
            raise UnavailableError("pip install 'capgen[java]'")
        if shutil.which("java") is None:
            raise UnavailableError("there is no java")
        try:
            return self.run([(_captions(system), _references(system)) for system in systems], on_progress)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise UnavailableError(one_line(error)) from error


def _captions(system: Candidates) -> Captions:
    return {number: [_joined(tokens)] for number, tokens in enumerate(system.tokens)}


def _references(system: Candidates) -> Captions:
    return {number: list(map(_joined, each)) for number, each in enumerate(system.references.captions)}


def _joined(tokens: Sequence[str]) -> str:
    """Return tokens as the programs take them; three bars, which markup may hold, would end the caption for METEOR."""
    return " ".join(tokens).replace("|||", "")
