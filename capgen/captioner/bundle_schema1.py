"""Bundles of schema 1, the first one: their names for what schema 2 says, and old names of scores in any bundle.

Bundles of schema 1 do not name a backend, since there was only one, nor the constants of constraints, which were those of
the package that wrote them. The constants are written out here and in ``schema1_plurals.json``, so that what such a
captioner says does not change with the defaults of this version.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capgen.captioner.decoding import current_names

CHECKSUM = "seal"
"""What the checksum of the description was called."""

PLURALS = Path(__file__).parent / "schema1_plurals.json"
"""The nouns, each with its plural, that a captioner of schema 1 does not say twice."""

_BACKEND = "litert-lstm"

_CONSTRAINTS = {"slot_bonus": 5.5, "slot_bonus_power": 3.0, "repeat_penalty": -50.0, "min_class_probability": 0.15}

_ENCODER_NAMES = {"key": "fingerprint"}

OLD_SCORE_NAMES = {"words used": "vocabulary size used", "sharing": "share of duplicate captions"}
"""The names of scores that earlier versions wrote, in bundles of either schema, each with its name of today."""


def as_schema2(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a description of schema 1 says, apart from its checksum, under the names of schema 2.

    Raises:
        KeyError: Something is missing.
        TypeError: Something is of another kind than capgen wrote.
    """
    return {
        **values,
        "backend": _BACKEND,
        "encoder": {_ENCODER_NAMES.get(name, name): value for name, value in dict(values["encoder"]).items()},
        "decoding": current_names(values["decoding"]),
        "constraints": {**_CONSTRAINTS, "plurals": json.loads(PLURALS.read_text(encoding="utf-8"))},
    }


def current_scores(scores: Any) -> Any:
    """Return the scores of a description by split, under their names of today; any other value is returned as it is."""
    if not isinstance(scores, dict):
        return scores
    return {split: _renamed(values) for split, values in scores.items()}


def _renamed(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    return {OLD_SCORE_NAMES.get(name, name): value for name, value in values.items()}
