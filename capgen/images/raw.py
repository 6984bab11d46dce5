"""Camera raw files by the preview that the camera put into them; nothing is developed.

LibRaw finds the preview, in the package rawpy, which knows the files of all makers and is imported only now. exiftool would
find it too, but takes a process for each file.
"""

import io
from typing import TYPE_CHECKING

from capgen.errors import ImageError, Status
from capgen.images.openers import damaged, open_with_pillow
from capgen.images.pixels import ORIENTATION_TAG
from capgen.storage.stderr import suppress_lines

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_LEAST_PREVIEW = 320
"""The least longer side in pixels of a preview that is taken. A thumbnail, often 160 pixels wide, shows too little."""

_ORIENTATIONS = (1, 2, 4, 3, 5, 8, 6, 7)
"""The EXIF orientations by LibRaw's numbers: 1 for mirrored left to right, 2 more for top to bottom, 4 for transposed."""


_LINES = (b"Corrupt JPEG data",)
"""How the lines begin that LibRaw prints of damaged files."""


def open_raw(data: bytes, size: int) -> "PillowImage":
    """Open the largest preview of a camera raw file.

    Raises:
        ImageError: rawpy is not installed, LibRaw does not know the file, or it has no preview that is large enough.
    """
    from PIL import Image

    try:
        import rawpy
    except ImportError as error:
        reason = "it is a camera raw image, which takes one more package: pip install rawpy"
        raise ImageError(Status.UNSUPPORTED, reason) from error
    try:
        with suppress_lines(_LINES), rawpy.imread(io.BytesIO(data)) as raw:
            orientation = _ORIENTATIONS[raw.sizes.flip]
            preview = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError) as error:
        raise ImageError(Status.UNSUPPORTED, "it is a camera raw image without a preview, and none is developed") from error
    except rawpy.LibRawFileUnsupportedError as error:
        raise ImageError(Status.UNSUPPORTED, "it is a camera raw image that LibRaw does not know") from error
    except rawpy.LibRawError as error:
        raise damaged(error) from error
    image = (
        Image.fromarray(preview.data) if preview.format is rawpy.ThumbFormat.BITMAP else open_with_pillow(preview.data, size)
    )
    if max(image.size) < _LEAST_PREVIEW:
        shape = f"{image.width}x{image.height}"
        reason = (
            f"it is a camera raw image with no preview larger than {shape} pixels (or it ends early), and none is developed"
        )
        raise ImageError(Status.UNSUPPORTED, reason)
    image.draft("RGB", (2 * size, 2 * size))
    image.getexif().setdefault(ORIENTATION_TAG, orientation)  # a preview that is a whole photograph says it itself
    return image
