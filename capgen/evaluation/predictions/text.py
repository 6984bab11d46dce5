"""Lines of path, tab, caption, as ``capgen caption`` prints them, with escapes for tabs and line ends inside."""

from collections.abc import Iterator

from capgen.datasets.text_files import numbered
from capgen.evaluation.predictions.form import Row, Source, best_first
from capgen.outputs.text import TextFormat


class TextForm:
    """A path and a caption on each line."""

    example = "lines of path, tab, caption"
    takes_folders = False

    def rows(self, source: Source) -> Iterator[Row] | None:
        """Return the rows; see ``Form``."""
        rows = [_row(where, line) for where, line in numbered(source.text, source.path.name)]
        return best_first(rows) if any(row.image for row in rows) else None


def _row(where: str, line: str) -> Row:
    parsed = TextFormat(several=True).parse(line.encode("utf-8", "surrogateescape"))
    return Row(where, parsed[0], tuple(filter(None, parsed[1:]))) if parsed and parsed[0] else Row(where)


FORM = TextForm()
