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
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> tuple[dict[str, float], dict[str, str]]:
    """Compute what can be computed here.

    Args:
        candidates: Tokens of one caption a picture.
        references: Tokens of the human captions of each.

    Returns:
        The scores, as fractions, and for each that is not computed the reason.
    """
    if importlib.util.find_spec("pycocoevalcap") is None:
        return {}, dict.fromkeys((METEOR, SPICE), "pip install 'capgen[java]'")
    if shutil.which("java") is None:
        return {}, dict.fromkeys((METEOR, SPICE), "there is no java")
    given = {number: [" ".join(tokens)] for number, tokens in enumerate(candidates)}
    truths = {number: [" ".join(tokens) for tokens in each] for number, each in enumerate(references)}
    scores: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for name, program in _PROGRAMS.items():
        try:
            scores[name] = program(given, truths)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reasons[name] = " ".join(str(error).split()) or type(error).__name__
    return scores, reasons


_Captions = dict[int, list[str]]


def _meteor(given: _Captions, truths: _Captions) -> float:
    from pycocoevalcap.meteor.meteor import Meteor

    with _closed(Meteor()) as program:
        return float(program.compute_score(truths, given)[0])


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


def _spice(given: _Captions, truths: _Captions) -> float:
    from pycocoevalcap.spice import spice

    if not (Path(spice.__file__).parent / _MODELS).is_file():
        raise OSError("its models are not here; get them with: python -m pycocoevalcap.spice.get_stanford_models")
    return float(spice.Spice().compute_score(truths, given)[0])


_PROGRAMS: dict[str, Callable[[_Captions, _Captions], float]] = {METEOR: _meteor, SPICE: _spice}
