"""The folders where capgen keeps what belongs to this user: features in the cache; data sets, runs and captioners as data.

The environment variables ``CAPGEN_CACHE_DIR`` and ``CAPGEN_DATA_DIR`` name other folders for the two, and
``CAPGEN_CONFIG_DIR`` another one for the user's settings.
"""

import os
import re
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""The names that data sets and captioners may have; each is also the name of a file or of a folder."""


def cache_dir() -> Path:
    """Return the folder for what can be made again: features, converted encoders and unpacked archives."""
    if folder := os.environ.get("CAPGEN_CACHE_DIR"):
        return Path(folder)
    import platformdirs

    return Path(platformdirs.user_cache_dir("capgen", appauthor=False))


def data_dir() -> Path:
    """Return the folder for what the user has made: prepared data sets, training runs and captioners."""
    if folder := os.environ.get("CAPGEN_DATA_DIR"):
        return Path(folder)
    import platformdirs

    return Path(platformdirs.user_data_dir("capgen", appauthor=False))


def config_dir() -> Path:
    """Return the folder of the user's own settings."""
    if folder := os.environ.get("CAPGEN_CONFIG_DIR"):
        return Path(folder)
    import platformdirs

    return Path(platformdirs.user_config_dir("capgen", appauthor=False))


def features_dir() -> Path:
    """Return the folder of the feature cache, which has a folder for each encoder."""
    return cache_dir() / "features"


def encoders_dir() -> Path:
    """Return the folder of the encoders' graphs that were converted to LiteRT."""
    return cache_dir() / "encoders"


def unpacked_dir() -> Path:
    """Return the folder of the images that were unpacked from archives, which has a folder for each archive."""
    return cache_dir() / "unpacked"


def datasets_dir() -> Path:
    """Return the folder of the prepared data sets, each of which is a file."""
    return data_dir() / "datasets"


def runs_dir() -> Path:
    """Return the folder of the training runs, each of which is a folder."""
    return data_dir() / "runs"


def models_dir() -> Path:
    """Return the folder of the captioners that the user has trained or imported."""
    return data_dir() / "models"


def default_file() -> Path:
    """Return the file that holds the name of the user's default captioner; it is missing if no default was chosen."""
    return data_dir() / "default-captioner"
