"""Captions in the metadata of the images themselves, written by exiftool, which rewrites the file but not its pixels."""

import base64
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from capgen.errors import StorageError
from capgen.inputs.passed_over import PassedOver, kind_of_name
from capgen.inputs.selection import Found
from capgen.outputs import photo_metadata
from capgen.outputs.destination import OtherFile, OutputFolders, is_file
from capgen.outputs.exiftool import ExifTool, reason
from capgen.outputs.fields import Fields
from capgen.outputs.metadata_blocks import Blocks
from capgen.outputs.photo_metadata import IN_IPTC, IN_NOTES, PhotoMetadata, of_blocks
from capgen.outputs.xmp import XmpSidecar
from capgen.outputs.xmp_packet import xml_text

_DESCRIPTION, _ALTERNATIVE = "XMP-dc:Description", "XMP-iptcCore:AltTextAccessibility"
_JSON = re.compile(r"^\[\{.*^\}\]$", re.MULTILINE | re.DOTALL)
_UNKNOWN = re.compile(r"^Warning: Tag '\S+' is not defined", re.MULTILINE)
_MINOR = re.compile(
    r"^Warning: .*IPTC:Caption-Abstract exceeds length limit|^Error: .*Will wrap JXL codestream", re.MULTILINE
)
"""What exiftool says if it cuts off words, or refuses to write without its option ``-m``, which ignores minor errors."""
_WARNING = re.compile(r"^Warning: (?:\[minor\] )?(.*?)(?: - \S*/image.*)?$", re.MULTILINE | re.IGNORECASE)
_ADDRESSABLE = re.compile(r"-([a-z]{2,3}|[xi])(-[a-z\d]{2,})*$")
"""The end of a metadata field's name that exiftool takes for a language."""

# exiftool takes one argument a line. -E undoes HTML escapes in values, which every version does and which needs no
# further file: a line end becomes &#10;, and only & has to be escaped besides.
_ESCAPES = str.maketrans({"&": "&amp;", "\n": "&#10;", "\r": "&#13;"})


class Embedded:
    """The metadata of the images themselves.

    Raises:
        UsageError: exiftool is not installed.
    """

    def __init__(self) -> None:
        self._exiftool = ExifTool()
        self._folders, self._sidecars = OutputFolders(None), XmpSidecar()

    def target(self, path: Path, root: Path) -> Path:
        """Return the image itself."""
        return path

    def survey(self, images: Iterable[Found]) -> None:
        """Look at the folders of images for XMP files, as ``XmpSidecar`` does."""
        self._sidecars.survey(images)

    def read(self, target: Path) -> str | None:
        """Return the text of ``fields``."""
        return self.fields(target).text

    def fields(self, target: Path) -> Fields:
        """Return description and alternative text, wherever in the metadata a person wrote them.

        Raises:
            StorageError: exiftool cannot read the image, or it is a backup or half-written file of another program.
        """
        if kind_of_name(target.name) in (PassedOver.BACKUP, PassedOver.UNFINISHED):
            raise StorageError("it is another program's, as its name says, and is never changed")
        return self._metadata(target).fields if is_file(target) else Fields()

    def elsewhere(self, path: Path, root: Path) -> Iterator[OtherFile]:
        """Yield the XMP files beside the image."""
        return self._sidecars.found(path, root)

    def write(self, target: Path, caption: Fields | str) -> None:
        """Set the description and the alternative text in the default language; the modification time stays.

        Wherever else the metadata has a description, it becomes the same, as the Metadata Working Group asks for.

        Raises:
            StorageError: exiftool cannot write it; the image is as it was before.
        """
        if not is_file(target):
            raise StorageError(f"cannot write {target}: it is no longer there")
        image, fields = target.resolve(), Fields.of(caption)
        before = image.stat()
        data = self._rewritten(target, image, fields)
        now = image.stat()
        if (now.st_ino, now.st_size, now.st_mtime_ns) != (before.st_ino, before.st_size, before.st_mtime_ns):
            raise StorageError(f"another program has changed {target} meanwhile; run it again")
        self._folders.write(image, data)
        with suppress(OSError):
            os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))

    def close(self) -> None:
        """End exiftool."""
        self._exiftool.close()

    def _rewritten(self, target: Path, image: Path, fields: Fields) -> bytes:
        """Return an image with the fields; ``target`` is what it is called in errors."""
        metadata = self._metadata(target)
        arguments = ("-E", *_assignments(fields, metadata))
        data, answer = self._exiftool.rewritten(image, *arguments)
        if _MINOR.search(answer):  # no other error was in its way, so there is none that -m could pass over
            data, answer = self._exiftool.rewritten(image, "-m", *arguments)
        if _UNKNOWN.search(answer):
            raise StorageError(f"cannot write the alternative text in {target}: this exiftool is too old; update it")
        if data is None:
            raise StorageError(f"cannot write {target}: {reason(answer)}")
        if not _holds(data, fields):
            warning = _WARNING.search(answer)
            form = f"the form that it has ({warning[1]})" if warning else "the form that it has"
            raise StorageError(
                f"cannot write {target}: exiftool does not change XMP of {form}; `xmp=True` writes beside the image"
            )
        return data

    def _metadata(self, target: Path) -> PhotoMetadata:
        found = photo_metadata.read(target)
        return self._asked(target) if found is None or found.has_packed else found

    def _asked(self, target: Path) -> PhotoMetadata:
        """Let exiftool find the blocks of metadata in a file of a kind that only it knows."""
        answer = self._exiftool.ask(target, "-j", "-b", "-XMP", "-EXIF", "-IPTC", "-Photoshop:IPTC")
        found = _JSON.search(answer)
        if found is None:
            raise StorageError(f"cannot read the caption in {target}: {reason(answer)}")
        [blocks] = json.loads(found[0])
        data = {name: _bytes(value) for name, value in blocks.items() if name in {"XMP", "EXIF", "IPTC"}}
        return of_blocks(
            Blocks(
                xmp=[data["XMP"]] if "XMP" in data else [],
                exif=[io.BytesIO(data["EXIF"].removeprefix(b"Exif\0\0"))] if "EXIF" in data else [],
                iptc=[data["IPTC"]] if "IPTC" in data else [],
            )
        )


def _assignments(fields: Fields, metadata: PhotoMetadata) -> Iterator[str]:
    """Yield exiftool's arguments that set the fields, and keep in step what says the same."""
    if fields.description is not None:
        tags = [tag for tag in metadata.texts if not tag.startswith((_DESCRIPTION, _ALTERNATIVE))]
        if IN_NOTES in tags and metadata.texts[IN_NOTES] != metadata.fields.description:  # they say something else
            tags.remove(IN_NOTES)
        if IN_IPTC in tags and not fields.description.isascii() and metadata.iptc_takes_utf_8:
            yield "-IPTC:CodedCharacterSet=UTF8"
        for tag in (_DESCRIPTION, *tags):
            yield from _assignment(tag, fields.description, metadata)
    if fields.alternative is not None:
        yield from _assignment(_ALTERNATIVE, fields.alternative, metadata)


def _assignment(tag: str, text: str, metadata: PhotoMetadata) -> Iterator[str]:
    """Yield the arguments that set one metadata field, and remove its copies in other languages."""
    stale = [copy for copy in metadata.copies if copy.startswith(f"{tag}-")]
    others = {field: other for field, other in metadata.translations.items() if field.startswith(f"{tag}-")}
    if all(map(_ADDRESSABLE.search, stale)) or not all(map(_ADDRESSABLE.search, others)):
        yield from (f"-{copy}=" for copy in stale if _ADDRESSABLE.search(copy))
    else:  # only all languages together can be removed
        yield f"-{tag}="
        yield from (f"-{field}={_value(other)}" for field, other in others.items())
    yield f"-{tag}{_language(tag)}={_value(text)}"


def _language(tag: str) -> str:
    """Return the language after a metadata field's name; without it exiftool would delete captions in other languages."""
    return "-x-default" if tag.startswith("XMP-") and tag != IN_NOTES else ""


def _holds(data: bytes, fields: Fields) -> bool:
    """Tell whether an image file has the fields in it, so far as that can be read here."""
    found = photo_metadata.of_file(io.BytesIO(data))
    wanted = ((_DESCRIPTION, fields.description), (_ALTERNATIVE, fields.alternative))
    return (
        found is None
        or found.has_packed
        or all(text is None or xml_text(text).split() == found.texts.get(tag, "").split() for tag, text in wanted)
    )


def _value(text: str) -> str:
    return xml_text(text).translate(_ESCAPES)


def _bytes(value: object) -> bytes:
    text = str(value)
    return base64.b64decode(text.removeprefix("base64:")) if text.startswith("base64:") else text.encode()
