"""A text file beside each picture: ``a.jpg`` gets ``a.txt``, with the caption as one line of UTF-8."""

from pathlib import Path

from capgen.errors import StorageError, UsageError
from capgen.images.formats import SUFFIXES
from capgen.outputs.destination import check_folder, contents, sibling, target
from capgen.storage import files


class Sidecar:
    """Text files, as training tools read them.

    Args:
        extension: The ending of their names, with the dot or without, e.g. ``"txt"``.
        output_dir: Where they are written, in folders like the pictures'; beside the pictures if None.

    Raises:
        UsageError: The extension cannot be one, or belongs to other files that would be replaced.
    """

    def __init__(self, extension: str, output_dir: Path | None) -> None:
        """Check the extension."""
        self.ending = "." + extension.removeprefix(".")
        self.output_dir = output_dir
        if not self.ending[1:].strip() or any(character in self.ending for character in "/\\\0"):
            raise UsageError(f"{extension!r} cannot be the ending of a file name; give one such as 'txt'")
        kind = Path("a" + self.ending).suffix.lower()
        if kind in SUFFIXES:
            raise UsageError(f"{extension!r} is the ending of pictures, which would be replaced; give one such as 'txt'")
        if kind == ".xmp":
            raise UsageError(f"{extension!r} is the ending of XMP files, which hold no plain text; give one such as 'txt'")

    def place(self, path: Path, root: Path) -> Path:
        """Return the text file of the picture at ``path``."""
        return sibling(path, root, self.output_dir, self.ending)

    def read(self, place: Path) -> str | None:
        """Return the file's text without the white space around it; None if there is none.

        Bytes that are no UTF-8 become lone surrogates, which ``write`` turns back into the same bytes.

        Raises:
            StorageError: What is there is no file, or cannot be read.
        """
        data = contents(place)
        if data is None:
            return None
        # Some editors begin a file with a byte order mark, which is no part of the caption.
        return data.decode(errors="surrogateescape").removeprefix("\ufeff").strip() or None

    def write(self, place: Path, caption: str) -> None:
        """Write the caption and a final newline.

        Raises:
            StorageError: The file cannot be written; an older one is as it was.
        """
        try:
            data = f"{caption.strip()}\n".encode(errors="surrogateescape")
        except UnicodeEncodeError as error:
            raise StorageError(f"cannot write {place}: its caption holds half a character (a lone surrogate)") from error
        check_folder(place, self.output_dir)
        files.write_bytes(target(place), data)

    def close(self) -> None:
        """Do nothing: there is no helper process."""
