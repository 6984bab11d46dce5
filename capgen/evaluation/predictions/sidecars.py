"""A folder of text files, one an image, as ``capgen caption --sidecar .txt`` writes them beside images or into a folder."""

from collections.abc import Iterator
from pathlib import Path

from capgen.datasets.text_files import read_text
from capgen.errors import DataError
from capgen.evaluation.predictions.form import Row, Source
from capgen.images.formats import ends_like_image
from capgen.inputs.folders import visible_files
from capgen.inputs.names import composed
from capgen.storage.files import is_file

ENDINGS = (".txt", ".caption")


class SidecarsForm:
    """A folder in which ``a.txt`` or ``a.jpg.txt`` holds the caption of ``a.jpg``.

    Where there are images, other text files do not count.
    """

    example = "a folder in which a.txt or a.caption has the caption of a.jpg"
    takes_folders = True

    def rows(self, source: Source) -> Iterator[Row] | None:
        """Return the rows; see ``Form``."""
        files = list(visible_files(source.path))
        images = {composed(str(name)) for path in files if ends_like_image(path) for name in (path, path.with_suffix(""))}
        texts = [path for path in files if path.suffix.lower() in ENDINGS and is_file(path)]
        found = [path for path in texts if composed(str(path.with_suffix(""))) in images] if images else texts
        return (_row(source.path, path) for path in found) if found else None


def _row(folder: Path, path: Path) -> Row:
    name = path.relative_to(folder)
    try:
        text = read_text(path).strip()
    except DataError:  # a file that is not text gives a row without a caption
        return Row(str(name))
    return Row(str(name), str(name.with_suffix("")), (text,) if text else ())


FORM = SidecarsForm()
