"""METEOR and SPICE, by their authors' own programs in Java, which ``pip install capgen[java]`` brings.

Nobody else's METEOR or SPICE gives the same numbers, so where these programs cannot run the scores are not computed.
Sources: M. Denkowski and A. Lavie, "Meteor Universal", WMT 2014; P. Anderson et al., "SPICE", ECCV 2016.
"""

import contextlib
import importlib.util
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

METEOR, SPICE = "METEOR", "SPICE"

_MODELS = "lib/stanford-corenlp-3.6.0-models.jar"
"""What SPICE parses with; not part of the package, as it is large."""


def java_scores(
    systems: Sequence[Sequence[Sequence[str]]], references: Sequence[Sequence[Sequence[str]]]
) -> tuple[list[dict[str, float]], dict[str, str]]:
    """Compute what can be computed here; each program is started once for all systems.

    Args:
        systems: Of each, tokens of one caption a picture.
        references: Tokens of the human captions of each picture.

    Returns:
        The scores of each system, as fractions, and for each score that is not computed the reason.
    """
    scores: list[dict[str, float]] = [{} for _ in systems]
    if importlib.util.find_spec("pycocoevalcap") is None:
        return scores, dict.fromkeys((METEOR, SPICE), "pip install 'capgen[java]'")
    if shutil.which("java") is None:
        return scores, dict.fromkeys((METEOR, SPICE), "there is no java")
    given = [{number: [" ".join(tokens)] for number, tokens in enumerate(candidates)} for candidates in systems]
    truths = {number: [" ".join(tokens) for tokens in each] for number, each in enumerate(references)}
    reasons: dict[str, str] = {}
    for name, program in _PROGRAMS.items():
        try:
            for each, score in zip(scores, program(given, truths), strict=True):
                each[name] = score
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reasons[name] = " ".join(str(error).split()) or type(error).__name__
    return scores, reasons


_Captions = dict[int, list[str]]


def _meteor(given: list[_Captions], truths: _Captions) -> list[float]:
    from pycocoevalcap.meteor.meteor import Meteor

    with _closed(Meteor()) as program:
        return [float(program.compute_score(truths, each)[0]) for each in given]


@contextlib.contextmanager
def _closed(program: Any) -> Iterator[Any]:
    """End its process, close the pipes that it leaves open, and say why it failed in Java's words."""
    process = program.meteor_p
    try:
        yield program
    except (OSError, ValueError) as error:
        process.kill()
        said = process.stderr.read().decode(errors="replace").split("\n")
        raise OSError(next((line for line in said if line.strip()), "java failed and gave no reason")) from error
    finally:
        program.lock = threading.Lock()  # after an error it still holds its own, and would wait for that when it is deleted
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()


def _spice(given: list[_Captions], truths: _Captions) -> list[float]:
    from pycocoevalcap.spice import spice

    if not (Path(spice.__file__).parent / _MODELS).is_file():
        raise OSError("its models are not here; get them with: python -m pycocoevalcap.spice.get_stanford_models")
    return [float(spice.Spice().compute_score(truths, each)[0]) for each in given]


_PROGRAMS: dict[str, Callable[[list[_Captions], _Captions], list[float]]] = {METEOR: _meteor, SPICE: _spice}
