"""All scores of a captioner on a split, greedily and with its own beam: python benchmarks/quality.py SOURCE [MODEL] [SPLIT].

SOURCE is what ``capgen evaluate --references`` takes.
"""

import dataclasses
import sys
from pathlib import Path

from capgen import Captioner, evaluation


def main(source: Path, model: str | None, split: str) -> None:
    """Print a table in Markdown, in hundredths."""
    truth = evaluation.from_source(source, split)
    captioner = Captioner.load(model)
    own = captioner.options
    print(f"{source.name} {split}, {len(truth.references)} images")
    for options in (dataclasses.replace(own, beam=1), own):
        (found,) = evaluation.evaluate([evaluation.predict(captioner, truth.references, options)], truth)
        columns = [
            f"{name} {100 * found.scores[name]:.1f} ({100 * low:.1f} to {100 * high:.1f})"
            for name, (low, high) in found.intervals.items()
        ]
        columns += [f"{name} {100 * value:.1f}" for name, value in found.by_java.items()]
        columns += [f"words {found.variety['words used']}", f"sharing {found.variety['sharing']:.1%}"]
        print(f"| beam {options.beam} | {' | '.join(columns)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None, sys.argv[3] if len(sys.argv) > 3 else "dev")
