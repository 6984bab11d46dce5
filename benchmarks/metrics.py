"""Captions scored a second, by capgen and by coco-caption's tools: python benchmarks/metrics.py FLICKR8K.

FLICKR8K holds ``Flickr8k.token.txt``. Each human caption is scored against the four others of its image, by BLEU-1 to 4,
ROUGE-L and CIDEr-D, tokenizing included; so every caption occurs five times, and capgen counts it once. In the last
case only the first caption of each image is scored, and none occurs twice. The peer is pycocoevalcap 1.2, whose tokenizer
runs in Java.
"""

import contextlib
import io
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from capgen.evaluation import metrics

COUNTS = (1_000, 40_000)
REPEATS = 3
"""Of each side; the least counts, as the machine's speed drifts."""


def pairs(folder: Path) -> tuple[list[str], list[list[str]]]:
    """Read each caption, and the others of its image."""
    human = defaultdict(list)
    for line in (folder / "Flickr8k.token.txt").read_text().splitlines():
        key, _, text = line.partition("\t")
        human[key.partition("#")[0]].append(text)
    captions = [text for texts in human.values() for text in texts]
    others = [[other for other in texts if other is not text] for texts in human.values() for text in texts]
    return captions, others


def theirs(captions: list[str], truths: list[list[str]]) -> list[float]:
    """Score as COCOEvalCap does."""
    tokenizer = PTBTokenizer()
    candidates = tokenizer.tokenize({number: [{"caption": text}] for number, text in enumerate(captions)})
    human = tokenizer.tokenize({number: [{"caption": text} for text in texts] for number, texts in enumerate(truths)})
    with contextlib.redirect_stdout(io.StringIO()):
        bleu, rouge, cider = (scorer.compute_score(human, candidates)[0] for scorer in (Bleu(4), Rouge(), Cider()))
    return [*bleu, rouge, cider]


def ours(captions: list[str], truths: list[list[str]]) -> list[float]:
    """Score as ``capgen evaluate`` does."""
    found = metrics.score(captions, truths)
    return [found[name] for name in ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr-D")]


def seconds(score: Callable[[], list[float]]) -> tuple[float, list[float]]:
    """Return the least time of a few runs, and the scores."""
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        scores = score()
        found.append(time.perf_counter() - began)
    return min(found), scores


def main(folder: Path) -> None:
    """Print both sides' times, their ratio and how far the scores are apart."""
    captions, truths = pairs(folder)
    cases = [(captions[:count], truths[:count]) for count in COUNTS]
    cases.append((captions[::5], truths[::5]))
    for candidates, human in cases:
        count = len(candidates)
        fast, found = seconds(lambda candidates=candidates, human=human: ours(candidates, human))
        slow, expected = seconds(lambda candidates=candidates, human=human: theirs(candidates, human))
        apart = max(abs(a - b) for a, b in zip(found, expected, strict=True))
        print(
            f"{count:,} captions: capgen {fast:.2f} s, pycocoevalcap {slow:.1f} s, {slow / fast:.0f} times; "
            f"scores at most {apart:.1e} apart; {1e6 * fast / count:.0f} microseconds a caption"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
