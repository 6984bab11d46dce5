"""The output files of several runs as one file. Of an image that is in several of them, the last caption counts."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

from capgen.errors import DataError, UsageError, os_reason
from capgen.outputs.format import Format, LineFormat
from capgen.outputs.stream import locked
from capgen.storage import files, platform
from capgen.storage.hashing import hash64


def merge(sources: Sequence[Path], target: Path, form: Format) -> int:
    """Write the records of all sources to a file, in their order.

    Args:
        sources: Files that ``capgen caption --output`` or ``--report`` has written.
        target: The file to write, whole or not at all; it may be one of the sources.
        form: The format of all of them.

    Returns:
        The number of images.

    Raises:
        UsageError: The target exists and is not one of the sources, so what it holds would be lost.
        DataError: A source is not a file, cannot be read, or holds something else than records.
        StorageError: The target cannot be written, or is being written by another capgen.
    """
    for source in sources:
        if source.exists() and not source.is_file():
            raise DataError(f"{source} is not a file; name files, since merging reads each of them twice")
    if target.exists() and not any(target.samefile(source) for source in sources):
        raise UsageError(f"{target} exists and is not one of the files to merge; remove it, or merge it, too")
    with locked(target) if target.exists() and platform.CAN_REPLACE_OPEN_FILES else nullcontext():
        return form.merge(sources, target)


def merge_lines(sources: Sequence[Path], target: Path, form: LineFormat) -> int:
    """Merge files of lines; see ``LineFormat.merge``. Only hashes of the paths are kept in memory.

    What is written has the header and the line ends of the first source that holds a record.
    """
    opened = [(source, _form_in(source, form)) for source in sources]
    filled = [one for one in opened if any(_numbered([one]))]
    written = filled[0][1] if filled else form
    chosen: dict[int, tuple[int, bool]] = {}  # path hash: the group of records that counts, and whether it has a caption
    for group, path, caption in _groups(filled):
        path_hash = hash64(path)
        if caption is not None or not chosen.get(path_hash, (0, False))[1]:
            chosen[path_hash] = (group, caption is not None)

    def write(file: BinaryIO) -> None:
        if written.header and chosen:
            file.write(written.header.encode() + written.line_end)
        for group, path, _, record in _numbered(filled):
            if chosen[hash64(path)][0] == group:
                file.write(record.removesuffix(b"\n").removesuffix(b"\r") + written.line_end)

    files.write_with(target, write)
    return len(chosen)


def _groups(sources: Sequence[tuple[Path, LineFormat]]) -> Iterator[tuple[int, str, str | None]]:
    """Yield the number, the path and the first caption of each group of records of one path that follow each other."""
    last = 0
    for group, path, caption, _ in _numbered(sources):
        if group != last:
            yield group, path, caption
            last = group


def _numbered(sources: Sequence[tuple[Path, LineFormat]]) -> Iterator[tuple[int, str, str | None, bytes]]:
    """Yield each record with the number of its group, its path and its caption, given the format of each source."""
    group = 0
    for source, form in sources:
        last = None
        for number, record in enumerate(_records(source, form), 1):
            if record.strip(b" \r\n") in (b"", form.header.encode()):
                continue
            parsed = form.parse(record)
            if parsed is None:
                raise DataError(f"{source}: record {number} is not of this format; name it with `format`")
            first, first_form = sources[0]
            if form.header != first_form.header:
                raise DataError(f"{source} has other columns or delimiters than {first}; save both with the same ones")
            path, caption = parsed
            group += path != last
            last = path
            yield group, path, caption, record


def _form_in(source: Path, form: LineFormat) -> LineFormat:
    """Return the format as a source has it."""
    try:
        return form.as_in_file(source)
    except DataError as error:
        raise DataError(f"{source} {error}") from error
    except OSError as error:
        raise _unread(source, error) from error


def _records(source: Path, form: LineFormat) -> Iterator[bytes]:
    try:
        with source.open("rb") as lines:
            yield from form.records(lines)
    except DataError as error:
        raise DataError(f"{source} {error}; mend it") from error
    except OSError as error:
        raise _unread(source, error) from error


def _unread(source: Path, error: OSError) -> DataError:
    return DataError(f"{source} cannot be read: {os_reason(error)}")
