"""Predictions: the captions that a system gives to the images of a split, read from a file or a folder in any known form.

``FORMS`` lists the forms. A new one is a module with a ``Form`` and a line there.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from capgen.errors import DataError, os_reason
from capgen.evaluation.predictions.assignment import Assignment
from capgen.registry import Registry

if TYPE_CHECKING:
    from capgen.captioner.results import Attention
    from capgen.evaluation.predictions.form import Form, Row
    from capgen.evaluation.references import Split

_HERE = __name__

FORMS: "Registry[Form]" = Registry(
    "form of predictions",
    {
        "shards": f"{_HERE}.shards:FORM",
        "sidecars": f"{_HERE}.sidecars:FORM",
        "parquet": f"{_HERE}.parquet:FORM",
        "tar": f"{_HERE}.tar:FORM",
        "objects": f"{_HERE}.objects:FORM",
        "pairs": f"{_HERE}.pairs:FORM",
        "jsonl": f"{_HERE}.jsonl:FORM",
        "dictionary": f"{_HERE}.dictionary:FORM",
        "table": f"{_HERE}.table:FORM",
        "text": f"{_HERE}.text:FORM",
    },
)
"""The forms in the order in which they are tried, the most particular first."""

ENDINGS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".parquet", ".tar")
"""Endings of files of predictions."""

BEGINNING = 60
"""The number of characters of a file in no known form that a message shows."""


@dataclass(frozen=True)
class Predictions:
    """The captions that one system gives to the images of a split.

    Attributes:
        name: The name of the system.
        captions: The caption of each image, by the id of its reference.
        problems: What was left out of the captions, one sentence for each kind of fault.
        notes: What may surprise of the captions that are scored, a sentence each.
        attention: The attention weights of each caption, by the id of its reference; only where they are known.
        log_probabilities: The log-probability that the captioner gives to each whole caption, by the id of its reference;
            empty where it is unknown.
    """

    name: str
    captions: Mapping[str, str]
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()
    attention: "Mapping[str, Attention | None]" = field(default_factory=dict)
    log_probabilities: Mapping[str, float] = field(default_factory=dict)


def read(path: Path, split: "Split", *, allow_missing: bool = False) -> Predictions:
    """Read the captions of a system.

    Args:
        path: A file or a folder in one of ``FORMS``.
        split: The images to score. A source may name an image by its id, by a path with as much of its folders as tells it
            apart, or by its file name with or without its ending; captions of images of other splits are left out.
        allow_missing: Leave out what is wrong instead of refusing it. Of several captions of one image the first is kept.

    Raises:
        DataError: The source is in no known form, or has faults that are not allowed.
    """
    assignment = Assignment(split)
    form, rows = recognise(path)
    assignment.assign(rows)
    faults, surplus = assignment.faults(), assignment.surplus()
    if not assignment.captions:
        reasons = "; ".join([*faults, *surplus])
        raise DataError(
            f"{path}, which was read as {form.example}, has no caption of an image of this split: {reasons}; is it another"
            " `split`?"
        )
    if faults and not allow_missing:
        raise DataError(f"{path}: {'; '.join(faults)}; mend it, or score the rest alone with `allow_missing=True`")
    return Predictions(path.name or str(path), assignment.captions, [*faults, *surplus], assignment.notes())


def recognise(path: Path) -> "tuple[Form, Iterable[Row]]":
    """Return the first form that a file or a folder is in, and its rows.

    Raises:
        DataError: It cannot be read, or is in no known form; the message says which forms are known.
    """
    from capgen.evaluation.predictions.form import Source

    source = Source(path)
    try:
        is_folder, is_other = path.is_dir(), path.exists() and not (path.is_file() or path.is_dir())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {os_reason(error)}") from error
    if is_other:  # forms look at a file more than once, and a pipe may keep them waiting for ever
        raise DataError(f"{path} is not a regular file; write the captions to one first")
    forms = [form for name in FORMS if (form := FORMS[name]).takes_folders == is_folder]
    for form in forms:
        found = form.rows(source)
        if found is not None:
            return form, found
    if source.json_fault:
        raise DataError(f"{path} cannot be read: {source.json_fault}")
    seen = "" if is_folder else f" (it begins with {source.text.strip()[:BEGINNING]!r})"
    raise DataError(
        f"{path} is in no form that captions are read in{seen}; known are: {'; '.join(one.example for one in forms)}"
    )


def distinct_names(names: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Return the names of systems; those that several systems share are replaced by the arguments that named the systems."""
    counts = Counter(names)
    return [name if counts[name] == 1 else argument for name, argument in zip(names, arguments, strict=True)]
