"""Bundles of schema 1, the first one: their names for what schema 2 says.

They do not name a backend, since there was only one, nor the constants of constraints, which were the package's.
"""

from collections.abc import Mapping
from typing import Any

from capgen.captioner.backends import DEFAULT_BACKEND
from capgen.captioner.constraints import ConstraintConfig
from capgen.captioner.decoding import current_names

CHECKSUM = "seal"
"""What the checksum of the description was called."""


def as_schema2(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a description of schema 1 says, apart from its checksum, under the names of schema 2.

    Raises:
        KeyError: Something is missing.
        TypeError: Something is of another kind than capgen wrote.
    """
    return {
        **values,
        "backend": DEFAULT_BACKEND,
        "encoder": {_ENCODER_NAMES.get(name, name): value for name, value in dict(values["encoder"]).items()},
        "decoding": current_names(values["decoding"]),
        "constraints": ConstraintConfig.default().plain(),
    }


_ENCODER_NAMES = {"key": "fingerprint"}
