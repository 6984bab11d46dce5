"""What a person chooses of how captions are written: enumerations, which cost nothing to import."""

from enum import StrEnum


class Existing(StrEnum):
    """What is done with a caption that exists."""

    SKIP = "skip"
    FILL = "fill"
    OUTDATED = "outdated"
    OVERWRITE = "overwrite"
    APPEND = "append"
    PREPEND = "prepend"

    @property
    def keeps(self) -> bool:
        """Whether a caption of a person stays as it is."""
        return self in (Existing.SKIP, Existing.FILL, Existing.OUTDATED)

    @property
    def adds(self) -> bool:
        """Whether the new caption is joined to the old one."""
        return self in (Existing.APPEND, Existing.PREPEND)


class SidecarName(StrEnum):
    """What the sidecar of an image is called that has none."""

    AUTO = "auto"
    """As most sidecars in the library are called; the stem if there are none, and the full name if images share a stem."""

    STEM = "stem"
    """``a.xmp`` for ``a.jpg``. Images of one stem share it."""

    FULL = "full"
    """``a.jpg.xmp`` for ``a.jpg``."""
