"""An XMP file beside each image. The caption is written as the description and as the alternative text of its metadata.

Photo managers keep ratings, keywords and edits in the same file, so a caption is merged into what is there.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from capgen.errors import DataError, StorageError
from capgen.inputs.selection import Found
from capgen.outputs import photo_metadata
from capgen.outputs.choices import SidecarName
from capgen.outputs.destination import OtherFile, OutputFolders, contents
from capgen.outputs.fields import Fields
from capgen.outputs.sidecar_naming import SidecarNames
from capgen.outputs.xmp_packet import Packet, fields_of, salvaged


class XmpSidecar:
    """XMP files, as photo managers read them.

    Args:
        output_dir: The folder that they are written into, in sub-folders like those of the images; by default they are
            written beside the images.
        name: What a new one is called: a ``SidecarName``.

    Raises:
        UsageError: There is no such name.
    """

    def __init__(self, output_dir: Path | None = None, name: str = SidecarName.AUTO) -> None:
        self._folders, self._names = OutputFolders(output_dir), SidecarNames(".xmp", output_dir, name)

    def target(self, path: Path, root: Path) -> Path:
        """Return the path of an image's XMP file, as ``sidecar_naming`` says."""
        return self._names.path(path, root)

    def survey(self, images: Iterable[Found]) -> None:
        """Look at the folders of images, as ``SidecarNames`` does."""
        self._names.survey(images)

    def read(self, target: Path) -> str | None:
        """Return the text of ``fields``."""
        return self.fields(target).text

    def fields(self, target: Path) -> Fields:
        """Return description and alternative text in the default language, or else in the one that comes first.

        Raises:
            StorageError: There is something that is not an XMP file, or cannot be read.
        """
        packet = _packet(target)
        return Fields() if packet is None else packet.fields()

    def elsewhere(self, path: Path, root: Path) -> Iterator[OtherFile]:
        """Yield the image itself, and XMP files under other names."""
        metadata = photo_metadata.read(path)
        if metadata is not None:
            yield OtherFile(path, metadata.fields)
        own = self.target(path, root)
        yield from self._files(target for target in self._names.found(path, root) if target != own)

    def found(self, path: Path, root: Path) -> Iterator[OtherFile]:
        """Yield the XMP files of an image that are there.

        Of one that is not sound XMP, and so is never written, the words that can be saved count.
        """
        yield from self._files(self._names.found(path, root))

    def _files(self, targets: Iterable[Path]) -> Iterator[OtherFile]:
        for target in targets:
            try:
                found = OtherFile(target, self.fields(target), self)
            except StorageError:
                try:
                    found = OtherFile(target, fields_of(_salvaged_texts(target)))
                except StorageError:  # it cannot be read: that is reported where it would be written
                    continue
            yield found

    def write(self, target: Path, caption: Fields | str) -> None:
        """Set the description and the alternative text in the default language; everything else in the file stays.

        Raises:
            StorageError: There is something that is not an XMP file, or cannot be written; it is as it was before.
        """
        packet = _packet(target) or Packet()
        packet.set(Fields.of(caption))
        self._folders.write(target, bytes(packet))

    def close(self) -> None:
        """Do nothing, since there is no helper process."""


def _salvaged_texts(target: Path) -> dict[str, str]:
    return {name: one.text for name, one in salvaged(contents(target) or b"").items()}


def _packet(target: Path) -> Packet | None:
    """Read the file at ``target``; ``None`` if there is no file, or only white space in it."""
    data = contents(target)
    if data is None or not data.strip():
        return None
    try:
        return Packet(data)
    except DataError as error:
        raise StorageError(f"{target} {error}; it was left as it is, so repair it or move it away") from error
