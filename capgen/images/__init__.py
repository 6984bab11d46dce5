"""A file to pixels: which formats there are, and how each is opened, bounded, scaled and turned upright."""

from capgen.images.reading import MAX_BYTES, Preprocessing, Source, contents, opened, read, shrunk

__all__ = ["MAX_BYTES", "Preprocessing", "Source", "contents", "opened", "read", "shrunk"]
