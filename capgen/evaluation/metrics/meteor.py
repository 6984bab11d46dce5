"""METEOR, by M. Denkowski's program (M. Denkowski and A. Lavie, "Meteor Universal", WMT 2014)."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np

from capgen.evaluation.metrics.java import Captions, JavaMetric
from capgen.evaluation.metrics.metric import OnProgress, Score


class Meteor(JavaMetric):
    """METEOR with the weights for English. The score of all captions is not the mean of the scores of images."""

    name = "METEOR"

    def run(self, systems: Sequence[tuple[Captions, Captions]], on_progress: OnProgress) -> list[Score]:
        """Run the program; see ``JavaMetric.run``."""
        from pycocoevalcap.meteor.meteor import Meteor as Program

        total, done = sum(len(captions) for captions, _ in systems), count(1)

        class Reporting(Program):  # type: ignore[misc]
            def _stat(self, *caption: Any) -> Any:
                """Ask the program about one caption; nothing else of it takes long."""
                answer = super()._stat(*caption)
                on_progress(Meteor.name, next(done), total)
                return answer

        with _closed(Reporting()) as program:
            found = [program.compute_score(references, captions) for captions, references in systems]
        return [Score(float(value), np.array(per_image, np.float64)) for value, per_image in found]


@contextlib.contextmanager
def _closed(program: Any) -> Iterator[Any]:
    """End the process of a program and close the pipes that it leaves open.

    Raises:
        OSError: The program failed; the message is what Java wrote to stderr.
    """
    process = program.meteor_p
    try:
        yield program
    except (OSError, ValueError) as error:
        process.kill()
        lines = process.stderr.read().decode(errors="replace").split("\n")
        raise OSError(next((line for line in lines if line.strip()), "java failed and gave no reason")) from error
    finally:
        program.lock = threading.Lock()  # after an error its own lock is held, and deleting the program would wait for it
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()


METEOR = Meteor()
