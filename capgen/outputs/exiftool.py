"""exiftool as a process that serves all images, since starting it takes longer than the work for one of them."""

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from html import unescape
from pathlib import Path
from threading import Timer

from capgen.errors import StorageError, UsageError, os_reason
from capgen.images.formats import HEAD_BYTES, SUFFIXES, recognise

TIMEOUT = 60.0
"""Seconds in which exiftool has to answer about one image."""

_MINOR = re.compile(r"^\[minor\] *", re.IGNORECASE)
_REPAIR = "exiftool -m -P -overwrite_original_in_place -XMP-xmp:MetadataDate=now FILE"


class ExifTool:
    """The process. It sees each image through a link in a folder of its own, and writes what it makes of it there.

    So it minds neither a name that it would misread nor an ending that belongs to another format, and leaves nothing beside
    the image.

    Raises:
        UsageError: exiftool is not installed.
    """

    def __init__(self) -> None:
        program = shutil.which("exiftool")
        if program is None:
            raise UsageError(
                "`embed=True` needs exiftool, which is not installed; get it with 'apt install libimage-exiftool-perl' or "
                "'brew install exiftool', or from https://exiftool.org"
            )
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._asked = 0

    def ask(self, image: Path, *options: str) -> str:
        """Return the answer about an image, with its errors.

        Raises:
            StorageError: exiftool cannot be started, or does not answer.
        """
        return self._answer(image, self._linked(image), *options)

    def rewritten(self, image: Path, *options: str) -> tuple[bytes | None, str]:
        """Return an image file with other metadata, ``None`` if exiftool has not made one, and its answer.

        Raises:
            StorageError: As ``ask``.
        """
        link = self._linked(image)
        made = link.with_name("made")  # with the ending of WebP some versions refuse what they can write
        made.unlink(missing_ok=True)
        answer = self._answer(image, link, *options, "-o", str(made))
        try:
            return made.read_bytes() or None, answer
        except FileNotFoundError:
            return None, answer

    def close(self) -> None:
        """End exiftool; a second call does nothing."""
        process, self._process = self._process, None
        if process is not None:
            try:
                process.communicate(b"-stay_open\nFalse\n", timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _linked(self, image: Path) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="capgen-")
        link = Path(self._folder.name) / f"image{_ending(image)}"
        link.unlink(missing_ok=True)
        link.symlink_to(image.resolve())
        return link

    def _answer(self, image: Path, link: Path, *options: str) -> str:
        process = self._started()
        assert process.stdin and process.stdout
        self._asked += 1
        arguments = [*(option.encode() for option in options), os.fsencode(link), b"-execute%d" % self._asked]
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
                self._abandon()
        if not ready:
            raise StorageError(f"exiftool ended or did not answer about {image}: {reason(_decoded(answer))}")
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
                raise StorageError(f"cannot start {self._program}: {os_reason(error)}; install exiftool anew") from error
        return self._process

    def _abandon(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def reason(answer: str) -> str:
    """Return the first error in an answer, or else its first line, without the path; for a minor one with what to do."""
    lines = answer.split("\n")
    line = next((line for line in lines if line.startswith("Error: ")), lines[0].strip())
    plain = unescape(re.sub(r" - \S*/image[^/]*$", "", line.removeprefix("Error: ")))
    if _MINOR.match(plain):
        return f"{_MINOR.sub('', plain)}; exiftool calls this minor, and to go on it can write the metadata anew: {_REPAIR}"
    if plain.endswith(" is not yet supported"):
        return f"{plain}; a newer exiftool may, and `xmp=True` writes beside the image"
    return plain or "it gave no reason"


def _ending(image: Path) -> str:
    """Return the ending of an image's name, or that of its format where the name says another one."""
    try:
        with image.open("rb") as file:
            found = recognise(file.read(HEAD_BYTES))
    except OSError:
        found = None
    ending = image.suffix.lower()
    if found is None or ending in found.suffixes or (ending and ending not in SUFFIXES):
        return ending if ending.isascii() and ending.isprintable() else ""
    return found.suffixes[0]


def _decoded(answer: list[bytes]) -> str:
    return b"".join(answer).decode(errors="surrogateescape")
