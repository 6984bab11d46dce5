"""Ten thousand damaged images: each is read or refused, and none crashes, hangs or warns.

The decoders are native code that might take the process with them, so the images are read in processes of their own,
which say what they are about to read. ``python tests/test_mutations.py FIRST LAST`` reads those again.
"""

import faulthandler
import io
import os
import random
import re
import subprocess
import sys
import warnings
from itertools import pairwise

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.image_files import encode

from capgen import images
from capgen.errors import ImageError
from capgen.storage.stderr import ignore_pillow_warnings

COUNT = 10_000
PROCESSES = 2
PATIENCE = 30
"""Seconds after which reading counts as hanging; a size changed to the largest that is decoded can take five."""

SIZE = 32
STATUSES = {"unreadable", "unsupported", "too-large"}
"""Others are about files, and these are bytes."""


def image(seed=0):
    """Draw an image with smooth and rough parts."""
    rows, columns = np.mgrid[0:36, 0:48]
    noise = np.random.default_rng(seed).integers(0, 256, (36, 48))
    return Image.fromarray(np.stack([rows * 7, columns * 5, np.where(columns < 24, 90, noise)], axis=2).astype(np.uint8))


def encoded(mode, image_format, **options):
    buffer = io.BytesIO()
    image().convert(mode).save(buffer, image_format, **options)
    return buffer.getvalue()


def samples(dtype, **options):
    buffer = io.BytesIO()
    pixels = np.asarray(image()).astype(dtype)
    planes = np.moveaxis(pixels, -1, 0) if options.get("planarconfig") == "separate" else pixels
    tifffile.imwrite(buffer, planes, metadata=None, **options)
    return buffer.getvalue()


def originals():
    """Encode one image in all the ways that are decoded differently."""
    exif = Image.Exif()
    exif[0x0112] = 6
    moving = {"save_all": True, "append_images": [image(1)]}
    return {
        "baseline JPEG": encoded("RGB", "JPEG", exif=exif),
        "progressive JPEG": encoded("RGB", "JPEG", progressive=True),
        "CMYK JPEG": encoded("CMYK", "JPEG"),
        "PNG": encoded("RGB", "PNG", exif=exif),
        "palette PNG": encoded("P", "PNG", transparency=3),
        "grey and clear PNG": encoded("LA", "PNG"),
        "animated PNG": encoded("RGBA", "PNG", **moving),
        "lossy WebP": encoded("RGB", "WEBP", exif=exif),
        "lossless WebP": encoded("RGBA", "WEBP", lossless=True),
        "animated WebP": encoded("RGB", "WEBP", **moving),
        "animated GIF": encoded("RGB", "GIF", **moving),
        "BMP": encoded("RGB", "BMP"),
        "palette BMP": encoded("P", "BMP"),
        "TIFF": encoded("RGB", "TIFF", exif=exif),
        "16-bit TIFF": encoded("I;16", "TIFF"),
        "floating-point TIFF": encoded("F", "TIFF"),
        "LZW TIFF": encoded("RGB", "TIFF", compression="tiff_lzw"),
        "JPEG TIFF": encoded("RGB", "TIFF", compression="jpeg"),
        "TIFF of colours in floating point": samples(np.float32, photometric="rgb"),
        "TIFF of planes": samples(np.uint16, photometric="rgb", planarconfig="separate", compression="deflate"),
        "JPEG 2000": encoded("RGB", "JPEG2000"),
        "JPEG XL": encode(image(), "JPEG XL"),
        "camera raw": encode(image().resize((320, 240)), "camera raw"),
        "AVIF": encoded("RGB", "AVIF", exif=exif),
        "clear AVIF": encoded("RGBA", "AVIF"),
        "animated AVIF": encoded("RGB", "AVIF", **moving),
        "HEIC": encoded("RGB", "HEIF", exif=exif),
        "clear HEIC": encoded("RGBA", "HEIF"),
        "HEIC of two images": encoded("RGB", "HEIF", **moving),
    }


def flipped(data, rng):
    """Change some bytes anywhere."""
    for _ in range(rng.choice((1, 2, 5, 20, 100))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return data


def flipped_header(data, rng):
    """Change some bytes at the beginning, where sizes and offsets stand; often to an extreme."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        data[rng.randrange(min(len(data), 300))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return data


def truncated(data, rng):
    return data[: rng.randrange(len(data))]


def piece(data, rng):
    """Choose a part, as slice bounds."""
    start = rng.randrange(len(data))
    return start, min(len(data), start + rng.choice((1, 2, 4, 8, 16, 64, 256)))


def removed(data, rng):
    start, end = piece(data, rng)
    return data[:start] + data[end:]


def repeated(data, rng):
    start, end = piece(data, rng)
    return data[:end] + data[start:end] * rng.choice((1, 1, 3, 50)) + data[end:]


def inserted(data, rng):
    start, end = piece(data, rng)
    return data[:start] + rng.randbytes(end - start) + data[start:]


def emptied(data, rng):
    start, end = piece(data, rng)
    return data[:start] + bytes([rng.choice((0, 0xFF))]) * (end - start) + data[end:]


def moved(data, rng):
    (start, end), offset = piece(data, rng), rng.randrange(len(data))
    rest = data[:start] + data[end:]
    return rest[:offset] + data[start:end] + rest[offset:]


WAYS = (flipped, flipped_header, truncated, removed, repeated, inserted, emptied, moved)


def mutated(whole, seed):
    """Damage one of the images, in one way or two; the same one for the same seed."""
    rng = random.Random(seed)
    data = bytearray(whole[list(whole)[seed % len(whole)]])
    for _ in range(rng.choice((1, 1, 2))):
        data = rng.choice(WAYS)(data, rng) or data
    return bytes(data)


def read_all(first, last):
    """Read the images of some seeds; name each before, as it might be the end, and tell how many were read."""
    warnings.simplefilter("error")
    ignore_pillow_warnings()  # as the command does
    whole, read = originals(), 0
    for seed in range(first, last):
        print("seed", seed, list(whole)[seed % len(whole)], flush=True)
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        try:
            pixels = images.read(mutated(whole, seed), images.Preprocessing(size=SIZE))
            assert pixels.shape == (SIZE, SIZE, 3)
            assert pixels.dtype == np.uint8
            read += 1
        except ImageError as error:
            assert error.status in STATUSES
            assert "\n" not in str(error)
        faulthandler.cancel_dump_traceback_later()
    print("read", read)


@pytest.mark.slow
def test_every_damaged_image_is_read_or_refused():
    bounds = [COUNT * number // PROCESSES for number in range(PROCESSES + 1)]
    command = [sys.executable, "-X", "faulthandler", __file__]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}  # for what the tests share
    processes = [
        subprocess.Popen(
            [*command, str(first), str(last)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        for first, last in pairwise(bounds)
    ]
    outputs = [process.communicate() for process in processes]
    for process, (said, complaint) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, f"{said.splitlines()[-1:]}\n{complaint[-3000:]}"
        assert complaint == ""  # nothing that libtiff, libjpeg, libpng or a logger prints by itself
    assert COUNT * 0.1 < sum(int(re.search(r"read (\d+)", said)[1]) for said, _ in outputs) < COUNT * 0.9


if __name__ == "__main__":
    read_all(int(sys.argv[1]), int(sys.argv[2]))
