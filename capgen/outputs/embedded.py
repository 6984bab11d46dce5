"""A caption in the picture's own metadata, put there by exiftool, which rewrites the file but not its pixels.

One exiftool process serves all pictures, as starting it takes longer than what it does for one of them.
"""

import json
import os
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from threading import Timer

from capgen.errors import StorageError, UsageError
from capgen.outputs.destination import both, is_file
from capgen.outputs.xmp import xml_text

TIMEOUT = 60.0
"""Seconds in which exiftool has to answer about one picture."""

_FIELDS = ("XMP-dc:Description", "XMP-iptcCore:AltTextAccessibility")
_JSON = re.compile(r"^\[\{.*^\}\]$", re.MULTILINE | re.DOTALL)
_UNKNOWN = re.compile(r"^Warning: Tag '\S+' is not defined", re.MULTILINE)
_WRITTEN = re.compile(r"^ *1 image files (updated|unchanged)$", re.MULTILINE)
# exiftool takes one argument a line. -E undoes HTML escapes in values, which every version does and which needs no
# further file: a line end becomes &#10;, and only & has to be escaped besides.
_ESCAPES = str.maketrans({"&": "&amp;", "\n": "&#10;", "\r": "&#13;"})


class Embedded:
    """Metadata of the pictures themselves.

    Raises:
        UsageError: exiftool is not installed.
    """

    def __init__(self) -> None:
        """Look for exiftool; it is started with the first picture."""
        program = shutil.which("exiftool")
        if program is None:
            raise UsageError(
                "--embed needs exiftool, which is not installed; get it with 'apt install libimage-exiftool-perl' or "
                "'brew install exiftool', or from https://exiftool.org"
            )
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = 0

    def place(self, path: Path, root: Path) -> Path:
        """Return the picture itself."""
        return path

    def read(self, place: Path) -> str | None:
        """Return description and alternative text in the default language, see ``both``; None if there is neither.

        Raises:
            StorageError: exiftool cannot read the picture.
        """
        if not is_file(place):
            return None
        answer = self._ask(place, "-j", *(f"-{field}" for field in _FIELDS))
        found = _JSON.search(answer)
        if found is None:
            raise StorageError(f"cannot read the caption in {place}: {_reason(answer, place)}")
        # exiftool writes a text that looks like a number as one, and 1.50 has to stay 1.50.
        [fields] = json.loads(found[0], parse_int=str, parse_float=str)
        return both(*(str(fields.get(field.rpartition(":")[2], "")) for field in _FIELDS))

    def write(self, place: Path, caption: str) -> None:
        """Set the description and the alternative text in the default language; the modification time stays.

        Raises:
            StorageError: exiftool cannot write it; the picture is as it was.
        """
        if not is_file(place):
            raise StorageError(f"cannot write {place}: it is no longer there")
        value = xml_text(caption).translate(_ESCAPES)
        # Without -x-default, captions in other languages would be deleted.
        fields = [f"-{field}-x-default={value}" for field in _FIELDS]
        picture = place.resolve()
        with suppress(OSError):  # left by a kill or a power cut; exiftool would refuse to write
            picture.with_name(f"{picture.name}_exiftool_tmp").unlink()
        answer = self._ask(place, "-E", "-P", "-overwrite_original", *fields)
        if _UNKNOWN.search(answer):
            raise StorageError(f"cannot write the alternative text in {place}: this exiftool is too old; update it")
        if not _WRITTEN.search(answer):
            raise StorageError(f"cannot write {place}: {_reason(answer, place)}")

    def close(self) -> None:
        """End exiftool."""
        process, self._process = self._process, None
        if process is not None:
            try:
                process.communicate(b"-stay_open\nFalse\n", timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()

    def _ask(self, place: Path, *options: str) -> str:
        """Return what exiftool says about one picture, errors included."""
        picture = os.fsencode(place.resolve())  # a link would be replaced by the picture
        # Older versions run a name that ends with a bar as a command.
        if b"\n" in picture or b"\r" in picture or picture.rstrip().endswith(b"|"):
            raise StorageError(f"cannot hand {str(place)!r} to exiftool: a line end or final bar in its path; rename it")
        process = self._started()
        assert process.stdin and process.stdout
        self._asked += 1
        arguments = [*(option.encode() for option in options), picture, b"-execute%d" % self._asked]
        answer: list[bytes] = []
        ready = False
        timer = Timer(TIMEOUT, process.kill)
        timer.start()
        try:
            with suppress(BrokenPipeError):
                process.stdin.write(b"".join(argument + b"\n" for argument in arguments))
                process.stdin.flush()
            for line in process.stdout:
                if line.rstrip() == b"{ready%d}" % self._asked:
                    ready = True
                    break
                answer.append(line)
        finally:
            timer.cancel()
            if not ready:  # it has ended or been interrupted, and the next answer would be taken for this one
                self._abandon(picture)
        if not ready:
            reason = _reason(_decoded(answer), place)
            raise StorageError(f"exiftool ended or did not answer about {place}: {reason}")
        return _decoded(answer)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - a program that the user installed, and no shell
                    [self._program, "-stay_open", "True", "-@", "-"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
            except OSError as error:
                raise StorageError(f"cannot start {self._program}: {error.strerror}; install exiftool anew") from error
        return self._process

    def _abandon(self, picture: bytes) -> None:
        """Kill exiftool and take away the half-written copy of the picture, which would stop the next attempt."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()
        with suppress(OSError):
            Path(os.fsdecode(picture) + "_exiftool_tmp").unlink()


def _decoded(answer: list[bytes]) -> str:
    return b"".join(answer).decode(errors="surrogateescape")


def _reason(answer: str, place: Path) -> str:
    """Return the first error in an answer, or else the first line that there is, without the path."""
    lines = answer.split("\n")
    line = next((line for line in lines if line.startswith("Error: ")), lines[0].strip())
    return line.removeprefix("Error: ").removesuffix(f" - {place.resolve()}") or "it gave no reason"
