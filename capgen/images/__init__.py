"""A file to pixels: which formats there are, and how each is opened, bounded, scaled and turned upright."""

from capgen.images.reading import MAX_INPUT_SIZE, RESAMPLING_FILTERS, Preprocessing, read, read_scaled
from capgen.images.sources import MAX_BYTES, Source, open_file, read_bytes

__all__ = [
    "MAX_BYTES",
    "MAX_INPUT_SIZE",
    "RESAMPLING_FILTERS",
    "Preprocessing",
    "Source",
    "open_file",
    "read",
    "read_bytes",
    "read_scaled",
]
