#!/usr/bin/env bash
# What: a TIFF of half floats (16-bit samples of SampleFormat 3), as render and scan programs write it, once with the colours of a pixel side
#       by side (PlanarConfiguration 1) and once in planes (2), read with libvips.
# Expected: the same pixels from both, or an error for what is not supported, as libvips gives one for tiles in planes.
# Real: those in planes come out as other colours, without an error or a warning: most of the red band of the image below is not what was
#       stored. Single floats (32 bits) in planes are right, so that a test with those does not tell.
# Versions: pyvips 3.2.0, libvips 8.18.7, tifffile 2026.3.3, NumPy 2.4.6, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyvips==3.2.0 pyvips-binary==8.18.7 tifffile==2026.3.3 numpy==2.4.6
"$work/venv/bin/python" - "$work" <<'PY'
import sys
from pathlib import Path

import numpy as np
import pyvips
import tifffile

folder = Path(sys.argv[1])
slope = np.linspace(0, 1, 48 * 64).reshape(48, 64)
stored = np.stack([slope, slope[::-1], np.full_like(slope, 0.25)], axis=-1)  # (H, W, 3)


def share_of_right_samples(dtype, planes):
    """Return the share of the samples of each band that are read as they were stored."""
    path = folder / f"{dtype}_{planes}.tif"
    pixels = stored.astype(dtype)
    tifffile.imwrite(
        path, np.moveaxis(pixels, -1, 0) if planes else pixels, photometric="rgb",
        planarconfig="separate" if planes else "contig",
    )
    assert np.array_equal(np.moveaxis(tifffile.imread(path), 0, -1) if planes else tifffile.imread(path), pixels)
    read = pyvips.Image.new_from_file(str(path)).numpy()
    return [round(float(np.isclose(read[..., band], pixels[..., band], atol=1e-3).mean()), 2) for band in range(3)]


print("libvips", ".".join(str(pyvips.version(part)) for part in range(3)), "tifffile", tifffile.__version__)
right = {}
for dtype in ("float32", "float16"):
    for planes in (False, True):
        right[dtype, planes] = share_of_right_samples(dtype, planes)
        print(dtype, "in planes" if planes else "side by side", "right in each band:", right[dtype, planes])
assert all(share == [1, 1, 1] for key, share in right.items() if key != ("float16", True)), "this has changed: look at it anew"
assert min(right["float16", True]) < 0.5, "this has changed: look at it anew"
PY
