"""``ResultLog``: what became of every image, as JSON lines that are written at once."""

import errno
import os
from pathlib import Path
from typing import BinaryIO

from capgen.captioner.results import Result
from capgen.outputs.jsonl import JsonLinesFormat
from capgen.storage import files


class ResultLog:
    """The file that ``--report`` names, while it is entered. A file that exists is replaced.

    Args:
        path: The file; its folder is made if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._form = path, JsonLinesFormat(several=True)

    def __enter__(self) -> "ResultLog":
        try:
            files.make_folder(self._path.absolute().parent)
            self._file: BinaryIO = self._path.open("wb", buffering=0)
        except OSError as error:
            raise files.storage_error(self._path, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, result: Result) -> None:
        """Write the line of a result.

        Raises:
            StorageError: It cannot be written.
        """
        data = self._form.encoded(result)
        try:
            written = self._file.write(data)
        except OSError as error:
            raise files.storage_error(self._path, error) from error
        if written != len(data):
            raise files.storage_error(self._path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
