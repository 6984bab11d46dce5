"""The files in an archive: which of them are images, by name or by content, and how much is unpacked at most."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from capgen import images
from capgen.errors import ImageError, Status
from capgen.images.formats import HEAD_BYTES, ends_like_image, looks_like_image
from capgen.inputs import passed_over

Entry: TypeAlias = "tuple[str, bytes | ImageError]"
"""An image of an archive: its name, and its bytes or the reason why there are none."""

MAX_RATIO = 100
"""How many times larger than itself what is in an archive may be, beyond one image; coded images hardly shrink at all."""


class DamagedMemberError(ImageError):
    """A file in an archive that cannot be read; those after it can."""


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        name: Its name, as the archive gives it.
        size: Its bytes when it is unpacked.
        read: Returns so many of its next bytes, until the next member is asked for. Raises ``DamagedMemberError`` if they
            cannot be read, and ``ImageError`` if nothing after them can be read either.
    """

    name: str
    size: int
    read: Callable[[int], bytes]


def read_images(members: Iterable[Member]) -> Iterator[Entry]:
    """Yield the images among the files in an archive."""
    for member in members:
        data = read_image(member)
        if data is not None:
            yield member.name, data


def read_image(member: Member) -> bytes | ImageError | None:
    """Read a member if it is an image: its name ends like an image's, or it begins like one. Hidden files are left out.

    Returns:
        Its bytes, or the reason why they cannot be read; ``None`` if it is not an image.

    Raises:
        ImageError: The archive cannot be read any further.
    """
    if is_hidden(member.name):
        return None
    named = ends_like_image(member.name)
    try:
        head = b"" if named else member.read(min(member.size, HEAD_BYTES))
    except DamagedMemberError:
        return None
    return read_whole(member, head) if named or looks_like_image(head) else None


def read_whole(member: Member, head: bytes = b"") -> bytes | ImageError:
    """Return all bytes of a member, of which ``head`` has been read, or the reason why they cannot be read.

    Raises:
        ImageError: The archive cannot be read any further.
    """
    if member.size > images.MAX_BYTES:
        return ImageError(Status.TOO_LARGE, f"it has {member.size:,} bytes, more than is safe to read at once")
    try:
        return head + member.read(member.size - len(head))
    except DamagedMemberError as error:
        return error


def check_ratio(unpacked: int, packed: int) -> None:
    """Make sure that no more has come out of an archive than can be images.

    Args:
        unpacked: The bytes that have come out so far.
        packed: The bytes that they were unpacked from.

    Raises:
        ImageError: It is too much.
    """
    if unpacked > MAX_RATIO * packed + images.MAX_BYTES:
        raise ImageError(
            Status.TOO_LARGE, f"more than {MAX_RATIO} times its size is in it, which cannot be images; the rest is not read"
        )


def is_hidden(name: str) -> bool:
    """Return whether a member, or a folder that it is in, has a name that is passed over in folders, too."""
    parts = [part for part in re.split(r"[/\\]", name) if part not in {"", ".", ".."}]
    return not parts or any(map(passed_over.is_hidden, parts))
