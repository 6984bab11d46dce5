"""Where capgen keeps things for this user: features in the cache; data sets, runs and captioners in the data folder.

``CAPGEN_CACHE_DIR`` and ``CAPGEN_DATA_DIR`` move the two places.
"""

import os
import re
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What data sets and captioners may be called: a name is a file's or a folder's, too."""


def cache_dir() -> Path:
    """Return the folder of what can be computed again (features, converted encoders)."""
    if place := os.environ.get("CAPGEN_CACHE_DIR"):
        return Path(place)
    import platformdirs

    return Path(platformdirs.user_cache_dir("capgen", appauthor=False))


def data_dir() -> Path:
    """Return the folder of what a user made (prepared data sets, training runs, captioners)."""
    if place := os.environ.get("CAPGEN_DATA_DIR"):
        return Path(place)
    import platformdirs

    return Path(platformdirs.user_data_dir("capgen", appauthor=False))


def features_dir() -> Path:
    """Return the folder of the feature cache, one folder an encoder."""
    return cache_dir() / "features"


def encoders_dir() -> Path:
    """Return the folder of encoder graphs converted to LiteRT."""
    return cache_dir() / "encoders"


def datasets_dir() -> Path:
    """Return the folder of prepared data sets, one file each."""
    return data_dir() / "datasets"


def runs_dir() -> Path:
    """Return the folder of training runs."""
    return data_dir() / "runs"


def models_dir() -> Path:
    """Return the folder of the captioners this user trained or unpacked."""
    return data_dir() / "models"


def default_file() -> Path:
    """Return the file with the name of the captioner that is used when none is named, if this user chose one."""
    return data_dir() / "default-captioner"
