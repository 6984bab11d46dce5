"""How XMP files are named beside their photographs: the rules that programs follow, and which file an image has."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from capgen.outputs.destination import sibling

NamingRule = Callable[[Path, Path], Path]
"""Takes an image and the path of its XMP file as Adobe names it, and returns the path under another rule."""


def _appended(image: Path, replaced: Path) -> Path:
    """``a.jpg.xmp`` for ``a.jpg``, as darktable and digiKam name it."""
    return replaced.with_name(f"{image.name}.xmp")


RULES: tuple[NamingRule, ...] = (_appended,)
"""The rules whose file is taken if it exists, the first of them before the others. A new rule is a function here."""


def xmp_path(image: Path, root: Path, output_dir: Path | None = None) -> Path:
    """Return the path of the XMP file of an image.

    It is an existing one that is named by one of ``RULES``, or else ``a.xmp`` for ``a.jpg``, as Adobe names it.

    Args:
        image: An image.
        root: The folder it was found under.
        output_dir: The folder in which the folders below ``root`` are made anew; ``None`` for a file beside the image.
    """
    replaced = sibling(image, root, output_dir, ".xmp")
    for rule in RULES:
        with suppress(OSError):  # the name may be too long for a file
            if (path := rule(image, replaced)).exists():
                return path
    return replaced
