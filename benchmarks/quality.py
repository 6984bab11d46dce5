"""All scores of a captioner on a split, greedily and with its own beam.

python benchmarks/quality.py SOURCE [MODEL] [SPLIT] [NAME=VALUE...]

SOURCE is what ``capgen evaluate --references`` takes; NAME=VALUE changes the search, as in
``guidance=1.25 common_caption_penalty=0``.
"""

import dataclasses
import json
import sys
from pathlib import Path

from capgen import Captioner, CaptionRequest
from capgen.evaluation.captioning import predict
from capgen.evaluation.evaluate import evaluate
from capgen.evaluation.metrics import every_metric
from capgen.evaluation.references import from_source


def main(source: Path, model: str | None, split: str, settings: list[str]) -> None:
    """Print a table in Markdown; scores of quality are in hundredths."""
    truth = from_source(source, split)
    captioner = Captioner.load(model)
    pairs = (setting.split("=", 1) for setting in settings)
    described = captioner.bundle.description
    own = dataclasses.replace(described.decoding, **{name: json.loads(value) for name, value in pairs})
    captioner.bundle.description = dataclasses.replace(described, decoding=own)
    captioner = Captioner(captioner.bundle)
    print(f"{source.name} {split}, {len(truth.references)} images")
    for beams in (1, own.num_beams):
        system = predict(captioner, truth.references, CaptionRequest(num_beams=beams))
        (found,) = evaluate([system], truth, every_metric())
        columns = []
        for metric in every_metric():
            if metric.name not in found.scores:
                continue
            value = found.scores[metric.name].value
            column = f"{metric.name} {100 * value:.1f}" if metric.is_quality else f"{metric.name} {metric.text(value)}"
            if metric.name in found.intervals:
                low, high = found.intervals[metric.name]
                column += f" ({100 * low:.1f} to {100 * high:.1f})"
            columns.append(column)
        print(f"| beam {beams} | {' | '.join(columns)} |")


if __name__ == "__main__":
    model, split, *settings = [*sys.argv[2:], *(None, "dev")[len(sys.argv) - 2 :]]
    main(Path(sys.argv[1]), model, split, settings)
