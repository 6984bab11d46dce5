"""A tar archive that ``capgen caption`` wrote: each image with its record."""

from collections.abc import Iterator

from capgen.errors import DataError, ImageError, damage
from capgen.evaluation.predictions.form import Row, Source, row_of
from capgen.outputs.shards.tar import TarShard


class TarForm:
    """A shard of images with their captions."""

    example = "a tar shard of capgen caption"
    takes_folders = False

    def rows(self, source: Source) -> Iterator[Row] | None:
        """Return the rows; see ``Form``."""
        return _rows(source) if source.head[257:262] == b"ustar" else None


def _rows(source: Source) -> Iterator[Row]:
    try:
        with source.path.open("rb") as file:
            for number, record in enumerate(TarShard.records(file), 1):
                yield row_of(f"record {number}", record)
    except (OSError, ValueError, ImageError) as error:
        reason = error if isinstance(error, ImageError) else damage(error)
        raise DataError(f"{source.path} cannot be read as a tar archive: {reason}") from error


FORM = TarForm()
