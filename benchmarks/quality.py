"""All scores of a captioner on a split, greedily and with its own beam: python benchmarks/quality.py SOURCE [MODEL] [SPLIT].

SOURCE is what ``capgen evaluate --references`` takes. METEOR is computed by the original tool, if Java and pycocoevalcap are
installed; it is for development only.
"""

import dataclasses
import sys
from pathlib import Path

from capgen import Captioner, evaluation, metrics


def meteor(captions: list[str], truths: list[tuple[str, ...]]) -> float | None:
    """Score with METEOR 1.5 in Java, on the tokens that the other scores count; ``None`` where it is not installed."""
    try:
        from pycocoevalcap.meteor.meteor import Meteor
    except ImportError:
        return None

    def joined(caption: str) -> str:
        return " ".join(metrics.tokenize(caption))

    human = {index: [joined(caption) for caption in each] for index, each in enumerate(truths)}
    score, _ = Meteor().compute_score(human, {index: [joined(caption)] for index, caption in enumerate(captions)})
    return score


def main(source: Path, model: str | None, split: str) -> None:
    """Print a table in Markdown, in hundredths."""
    truths = evaluation.from_source(source, split)
    captioner = Captioner.load(model)
    own = captioner.options
    print(f"{source.name} {split}, {len(truths)} images")
    for options in (dataclasses.replace(own, beam=1), own):
        captions = {key: caption.text for key, caption in evaluation.predict(captioner, truths, options).items()}
        found = evaluation.evaluate(captions, truths)
        columns = [
            f"{name} {100 * found.scores[name]:.1f} ({100 * low:.1f} to {100 * high:.1f})"
            for name, (low, high) in found.intervals.items()
        ]
        by_java = meteor(list(captions.values()), [truth.captions for truth in truths])
        columns.append(f"METEOR {100 * by_java:.1f}" if by_java is not None else "METEOR not computed")
        columns += [f"words {found.variety['words used']}", f"sharing {found.variety['sharing']:.1%}"]
        print(f"| beam {options.beam} | {' | '.join(columns)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None, sys.argv[3] if len(sys.argv) > 3 else "dev")
