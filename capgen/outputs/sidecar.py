"""A text file beside each image: ``a.jpg`` gets ``a.txt``, which holds the caption as one line, of UTF-8 if it is new."""

import codecs
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from capgen.errors import StorageError, UsageError
from capgen.images.formats import SUFFIXES
from capgen.inputs.selection import Found
from capgen.outputs.choices import SidecarName
from capgen.outputs.destination import OtherFile, OutputFolders, contents
from capgen.outputs.fields import Fields
from capgen.outputs.sidecar_naming import SidecarNames


class Sidecar:
    """Text files, as training tools read them.

    Args:
        extension: The ending of their names, with the dot or without, e.g. ``"txt"``.
        output_dir: The folder that they are written into, in sub-folders like those of the images; by default they are
            written beside the images.
        name: What a new one is called: a ``SidecarName``.

    Raises:
        UsageError: There is no such name, or the extension cannot be one, or belongs to other files that would be replaced.
    """

    def __init__(self, extension: str, output_dir: Path | None = None, name: str = SidecarName.AUTO) -> None:
        self.ending = "." + extension.removeprefix(".")
        self._folders, self._names = OutputFolders(output_dir), SidecarNames(self.ending, output_dir, name)
        if not self.ending[1:].strip() or any(character in self.ending for character in "/\\\0"):
            raise UsageError(f"{extension!r} cannot be the ending of a file name; give one such as 'txt'")
        kind = Path("a" + self.ending).suffix.lower()
        if kind in SUFFIXES:
            raise UsageError(f"{extension!r} is the ending of images, which would be replaced; give one such as 'txt'")
        if kind == ".xmp":
            raise UsageError(f"{extension!r} is the ending of XMP files, which hold no plain text; give one such as 'txt'")

    def target(self, path: Path, root: Path) -> Path:
        """Return the text file of the image at ``path``, which was found under the folder ``root``."""
        return self._names.path(path, root)

    def survey(self, images: Iterable[Found]) -> None:
        """Look at the folders of images, as ``SidecarNames`` does."""
        self._names.survey(images)

    def read(self, target: Path) -> str | None:
        """Return the file's text without the white space around it; ``None`` if there is no file or no text in it.

        Bytes that are not text of the encoding become lone surrogates, which ``write`` turns back into the same bytes.

        Raises:
            StorageError: There is something that is not a file, or cannot be read.
        """
        data = contents(target)
        return None if data is None else _decoded(data, target).strip() or None

    def fields(self, target: Path) -> Fields:
        """Return the text as that of both fields."""
        return Fields.of(self.read(target) or Fields())

    def elsewhere(self, path: Path, root: Path) -> Iterator[OtherFile]:
        """Yield nothing: training tools look for a caption in the text file alone."""
        return iter(())

    def write(self, target: Path, caption: Fields | str) -> None:
        """Write the caption and a final line end, in the encoding and with the line end of the file that is there.

        Raises:
            StorageError: The file cannot be written; it is as it was before.
        """
        there = contents(target) or b""
        mark, encoding = _encoding(there)
        before, text = _decoded(there, target), (Fields.of(caption).text or "").strip()
        if _holds_bytes(text) and not "".join(Counter(text) - Counter(before)).isascii():
            raise StorageError(f"cannot add {text!r} to {target}, which is not UTF-8; save it as UTF-8")
        if "\0" in before and "\0" in text and text != before.strip():
            raise StorageError(f"cannot add to {target}, which has zero bytes, as UTF-16 has; save it as UTF-8")
        line_end = "\r\n" if "\r\n" in before else "\n"
        try:
            data = mark + f"{text}{line_end}".encode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")
        except UnicodeEncodeError as error:
            raise StorageError(f"cannot write {target}: its caption holds half a character (a lone surrogate)") from error
        self._folders.write(target, data)

    def close(self) -> None:
        """Do nothing, since there is no helper process."""


_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as the mark of UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks, with which editors say how a file is encoded; one without a mark is UTF-8, or has one byte a letter."""


def _encoding(data: bytes) -> tuple[bytes, str]:
    return next(((mark, encoding) for mark, encoding in _MARKS if data.startswith(mark)), (b"", "utf-8"))


def _decoded(data: bytes, target: Path) -> str:
    mark, encoding = _encoding(data)
    try:
        return data.removeprefix(mark).decode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")
    except UnicodeDecodeError as error:
        raise StorageError(
            f"cannot read {target}: it begins as {encoding} and goes on as something else; mend it"
        ) from error


def _holds_bytes(text: str) -> bool:
    """Tell whether a text holds bytes that are not UTF-8, as ``surrogateescape`` keeps them."""
    return any("\udc80" <= character <= "\udcff" for character in text)
