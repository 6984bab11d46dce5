"""Captions in the metadata of the images themselves, written by exiftool, which rewrites the file but not its pixels.

One exiftool process serves all images, since starting it takes longer than the work for one of them.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Timer

from capgen.errors import StorageError, UsageError
from capgen.inputs.passed_over import PassedOver, kind_of_name
from capgen.inputs.selection import Found
from capgen.outputs.destination import both, is_file
from capgen.outputs.xmp import xml_text

TIMEOUT = 60.0
"""Seconds in which exiftool has to answer about one image."""

_FIELDS = ("XMP-dc:Description", "XMP-iptcCore:AltTextAccessibility")
_JSON = re.compile(r"^\[\{.*^\}\]$", re.MULTILINE | re.DOTALL)
_UNKNOWN = re.compile(r"^Warning: Tag '\S+' is not defined", re.MULTILINE)
_WRITTEN = re.compile(r"^ *1 image files (updated|unchanged)$", re.MULTILINE)
# exiftool takes one argument a line. -E undoes HTML escapes in values, which every version does and which needs no
# further file: a line end becomes &#10;, and only & has to be escaped besides.
_ESCAPES = str.maketrans({"&": "&amp;", "\n": "&#10;", "\r": "&#13;"})


class Embedded:
    """The metadata of the images themselves.

    Raises:
        UsageError: exiftool is not installed.
    """

    def __init__(self) -> None:
        program = shutil.which("exiftool")
        if program is None:
            raise UsageError(
                "--embed needs exiftool, which is not installed; get it with 'apt install libimage-exiftool-perl' or "
                "'brew install exiftool', or from https://exiftool.org"
            )
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = 0

    def target(self, path: Path, root: Path) -> Path:
        """Return the image itself."""
        return path

    def survey(self, images: Iterable[Found]) -> None:
        """Do nothing, since the target of an image depends on no other file."""

    def read(self, target: Path) -> str | None:
        """Return description and alternative text in the default language, joined by ``both``; ``None`` if both are missing.

        Raises:
            StorageError: exiftool cannot read the image, or it is a backup or half-written file of another program.
        """
        if kind_of_name(target.name) in (PassedOver.BACKUP, PassedOver.UNFINISHED):
            raise StorageError(f"{target} is another program's, as its name says, and is never changed")
        if not is_file(target):
            return None
        answer = self._ask(target, "-j", *(f"-{field}" for field in _FIELDS))
        found = _JSON.search(answer)
        if found is None:
            raise StorageError(f"cannot read the caption in {target}: {_reason(answer, target)}")
        # exiftool writes a text that looks like a number as one, and 1.50 has to stay 1.50.
        [fields] = json.loads(found[0], parse_int=str, parse_float=str)
        return both(*(str(fields.get(field.rpartition(":")[2], "")) for field in _FIELDS))

    def write(self, target: Path, caption: str) -> None:
        """Set the description and the alternative text in the default language; the modification time stays.

        Raises:
            StorageError: exiftool cannot write it; the image is as it was before.
        """
        if not is_file(target):
            raise StorageError(f"cannot write {target}: it is no longer there")
        value = xml_text(caption).translate(_ESCAPES)
        # Without -x-default, captions in other languages would be deleted.
        fields = [f"-{field}-x-default={value}" for field in _FIELDS]
        image = target.resolve()
        with suppress(OSError):  # left by a kill or a power cut; exiftool would refuse to write
            image.with_name(f"{image.name}_exiftool_tmp").unlink()
        answer = self._ask(target, "-E", "-P", "-overwrite_original", *fields)
        if _UNKNOWN.search(answer):
            raise StorageError(f"cannot write the alternative text in {target}: this exiftool is too old; update it")
        if not _WRITTEN.search(answer):
            raise StorageError(f"cannot write {target}: {_reason(answer, target)}")

    def close(self) -> None:
        """End exiftool."""
        process, self._process = self._process, None
        if process is not None:
            try:
                process.communicate(b"-stay_open\nFalse\n", timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()

    def _ask(self, target: Path, *options: str) -> str:
        """Return the answer of exiftool about one image, with its errors."""
        image = os.fsencode(target.resolve())  # exiftool would replace a link by the image
        # Older versions run a name that ends with a bar as a command.
        if b"\n" in image or b"\r" in image or image.rstrip().endswith(b"|"):
            raise StorageError(f"cannot hand {str(target)!r} to exiftool: a line end or final bar in its path; rename it")
        process = self._started()
        assert process.stdin and process.stdout
        self._asked += 1
        arguments = [*(option.encode() for option in options), image, b"-execute%d" % self._asked]
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
                self._abandon(image)
        if not ready:
            reason = _reason(_decoded(answer), target)
            raise StorageError(f"exiftool ended or did not answer about {target}: {reason}")
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

    def _abandon(self, image: bytes) -> None:
        """Kill exiftool and remove its half-written copy of the image, with which the next attempt would fail."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()
        with suppress(OSError):
            Path(os.fsdecode(image) + "_exiftool_tmp").unlink()


def _decoded(answer: list[bytes]) -> str:
    return b"".join(answer).decode(errors="surrogateescape")


def _reason(answer: str, target: Path) -> str:
    """Return the first error in an answer, or else the first line that there is, without the path."""
    lines = answer.split("\n")
    line = next((line for line in lines if line.startswith("Error: ")), lines[0].strip())
    return line.removeprefix("Error: ").removesuffix(f" - {target.resolve()}") or "it gave no reason"
