"""Colours in other spaces than sRGB to sRGB, which captioners are trained on, where captions depend on it.

Measured by encoding 318 dev images of Flickr8k in other spaces, with the shipped captioner: in Display P3 and Adobe RGB
captions change about as often as those of images that are saved as JPEG anew (26 % and 36 % against 29 %), and CIDEr-D does
not (+0.001, -0.001). These stay as they are, as in training. ProPhoto RGB (62 %, -0.025), HLG (56 %, -0.026) and PQ (80 %,
-0.080) are converted.
"""

import functools
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from capgen.images.openers import DECODING_ERRORS, TRANSFER

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageCms import ImageCmsTransform

_PQ, _HLG = 16, 18

_WIDE = 16.0
"""The mean change of colours, in 0..255, from which a profile is applied: Adobe RGB has 9, Display P3 10, ProPhoto 22."""

_WHITE_NITS = 203.0
"""The luminance of white in HDR images (ITU-R BT.2408); what is brighter is a highlight."""

_HLG_WHITE = 0.265
"""The same as a share of the greatest signal of HLG."""

_FROM_BT2020 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
"""Linear light in the primaries of BT.2020 to those of sRGB (ITU-R BT.2087)."""


def to_srgb(image: "Image", info: Mapping[Any, Any]) -> "Image":
    """Bring an RGB image to sRGB, if it is in a colour space in which captions differ.

    Args:
        image: The pixels, already of the size that is wanted.
        info: What Pillow knows of the image that they are of.
    """
    transfer = info.get(TRANSFER)
    if transfer in {_PQ, _HLG}:
        return _from_hdr(image, _light_of_pq() if transfer == _PQ else _light_of_hlg())
    profile = info.get("icc_profile")
    transform = _transform(profile) if profile else None
    if transform is None:
        return image
    from PIL import ImageCms

    return ImageCms.applyTransform(image, transform) or image


def _from_hdr(image: "Image", light: np.ndarray) -> "Image":
    """Convert an HDR image in BT.2020 by the light of each of the 256 levels, of which white has 1."""
    from PIL import Image

    linear = np.clip(light[np.asarray(image)] @ _FROM_BT2020.T, 0, 1)  # (H, W, 3)
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)  # noqa: PLR2004 - IEC 61966-2-1
    return Image.fromarray(np.rint(encoded * 255).astype(np.uint8))


def _light_of_pq() -> np.ndarray:
    """Return the light of each level (SMPTE ST 2084)."""
    power = (np.arange(256) / 255) ** (1 / 78.84375)
    nits = 10000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    return nits / _WHITE_NITS


def _light_of_hlg() -> np.ndarray:
    """Return the light of each level (ITU-R BT.2100), of the scene: the display's own gamma is left out."""
    level = np.arange(256) / 255
    light = np.where(level <= 0.5, level**2 / 3, (np.exp((level - 0.55991073) / 0.17883277) + 0.28466892) / 12)  # noqa: PLR2004
    return light / _HLG_WHITE


@functools.lru_cache(maxsize=32)
def _transform(profile: bytes) -> "ImageCmsTransform | None":
    """Return the transform of a profile of RGB to sRGB, or ``None`` if it changes little or the profile is damaged."""
    from PIL import Image, ImageCms

    if profile[16:20] != b"RGB ":
        return None
    steps = np.linspace(0, 255, 6).astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), "RGB", "RGB")
        changed = np.asarray(ImageCms.applyTransform(Image.fromarray(colours), transform))
    except (ImageCms.PyCMSError, *DECODING_ERRORS):
        return None
    return transform if np.abs(changed.astype(float) - colours).mean() >= _WIDE else None
