"""Image files of every format that is read, encoded for tests."""

import io
import struct

import numpy as np
from pillow_heif import register_heif_opener

from capgen.images.formats import FORMATS

register_heif_opener()  # for writing; reading registers nothing

PILLOW_NAMES = {row.name: row.pillow_name for row in FORMATS if row.pillow_name}


def encode(image, name, **options):
    """Encode an image in a format of the table; Pillow's names are taken, too."""
    if name == "camera raw":
        return raw(image, **options)
    if name == "JPEG XL":
        import pylibjxl

        return pylibjxl.encode(np.asarray(image), lossless=True, **options)
    buffer = io.BytesIO()
    image.save(buffer, PILLOW_NAMES.get(name, name), **options)
    return buffer.getvalue()


BYTE, TEXT, SHORT, LONG = 1, 2, 3, 4
CODES = {BYTE: "B", SHORT: "H", LONG: "I"}


def directory(entries, offset):
    """Lay out the tags of a little-endian TIFF, ``{tag: (type, values)}``, for an offset; long values come behind them."""
    head, tail = struct.pack("<H", len(entries)), b""
    free = offset + 2 + 12 * len(entries) + 4
    for tag, (kind, values) in sorted(entries.items()):
        data = values if kind == TEXT else struct.pack(f"<{len(values)}{CODES[kind]}", *values)
        field = data.ljust(4, b"\0")
        if len(data) > 4:
            field = struct.pack("<I", free + len(tail))
            tail += data + bytes(len(data) % 2)
        head += struct.pack("<HHI", tag, kind, len(values)) + field
    return head + bytes(4) + tail


def raw(preview, *, thumbnail=(0, 0, 0), orientation=1, signature=b"II*\0\x10\0\0\0CR\2\0\0\0\0\0"):
    """Make a camera raw file as cameras lay it out: a thumbnail of 160 pixels, what the sensor measured, and a JPEG.

    Args:
        preview: The image that is in the file as a JPEG, which lies behind all else.
        thumbnail: The colour of the thumbnail, which is the first image of the file.
        orientation: How the stored images are to be turned.
        signature: The first sixteen bytes, by default those of a CR2; a DNG begins like any other TIFF.
    """
    buffer = io.BytesIO()
    preview.save(buffer, "JPEG", quality=95)
    jpeg = buffer.getvalue()
    width, height = preview.size
    pixels, sensor = bytes(thumbnail) * (160 * 120), bytes(2 * width * height)
    parts = 600, 1000, 2000  # where the directories of the other two images lie, and the first data
    where = parts[2], parts[2] + len(pixels), parts[2] + len(pixels) + len(sensor)

    def image(kind, size, bits, compression, photometric, offset, length):
        return {
            254: (LONG, [kind]), 256: (LONG, [size[0]]), 257: (LONG, [size[1]]), 258: (SHORT, bits),
            259: (SHORT, [compression]), 262: (SHORT, [photometric]), 273: (LONG, [offset]), 277: (SHORT, [len(bits)]),
            278: (LONG, [size[1]]), 279: (LONG, [length]),
        }  # fmt: skip

    first = image(1, (160, 120), [8, 8, 8], 1, 2, where[0], len(pixels)) | {
        271: (TEXT, b"Cam\0"), 272: (TEXT, b"One\0"), 274: (SHORT, [orientation]), 330: (LONG, parts[:2]),
        50706: (BYTE, [1, 4, 0, 0]), 50708: (TEXT, b"Cam One\0"),
    }  # fmt: skip
    mosaic = image(0, (width, height), [16], 1, 32803, where[1], len(sensor)) | {
        33421: (SHORT, [2, 2]), 33422: (BYTE, [0, 1, 1, 2]),
    }  # fmt: skip
    jpeg_image = image(1, (width, height), [8, 8, 8], 7, 6, where[2], len(jpeg))
    file = bytearray(parts[2])
    file[:16] = signature
    for offset, entries in ((16, first), (parts[0], mosaic), (parts[1], jpeg_image)):
        layout = directory(entries, offset)
        file[offset : offset + len(layout)] = layout
    return bytes(file) + pixels + sensor + jpeg
