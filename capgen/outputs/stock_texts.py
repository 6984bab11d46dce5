"""Texts that cameras, phones and programs put into metadata by themselves, which are nobody's caption."""

import json
import re
import unicodedata

_CAMERAS = re.compile(
    r"""
    (?: (?: konica\ )? (?:agfa|benq|canon|casio|epson|fuji(?:film)?|ge|hp|kodak|konica|kyocera|leica|lg|minolta|moultrie
        |nikon|olympus|panasonic|pentax|polaroid|ricoh|rollei|samsung|sanyo|sony|toshiba|vivitar)\  )?
        digital\ (?:still\ |game\ |video\ )? camera                     # OLYMPUS DIGITAL CAMERA, KODAK Digital Still Camera
    | (?:samsung|olympus|kodak|sony|minolta) (?:\ dsc|\ camera\ pictures)?
    | <[^<>]* (?:samsung|kenox|digimax) [^<>]*>                           # <KENOX S760  / Samsung S760>
    | (?:exif_)? jpeg[ _](?:picture|image) | exif\ jpeg
    | dcim(?:[\\/]\S*)?                                                   # the file's own name: GoPro, DJI
    | scanner | dvc\ [\d.]+\ hdmi | (?:oplus|oppo)_\d+ | hisilicon\ (?:k3|balong) | mtk\S*
    """,
    re.VERBOSE | re.IGNORECASE,
)
_MODES = re.compile(
    r"(?:bt|f|fb|fpt|front|oz|pt|r|s)?(?:bhdp|bt[fry]|burst|cav|cof|dav|ed[fi]|fbt|frem|hdr(?:pl)?|mde|mon|nor|ptr|qrf|rbt|rpt|sdr|shbty)"
    r"(?:WO|h|mdn|hdr|bty)?(?:_\w+)?"
)
"""The ways of taking a photograph of Huawei's telephones: cof, dav_vivid, oznorWO, hdrpl ..."""

_PROGRAMS = re.compile(
    r"""
    (?:created|processed|made|edited|captured|resized)\ (?:with|by|on|in)\ (?:the\ )?
        (?:gimp|imlib|vsco\w*|snapseed|ebay|polarr|picsart|repix|prisma|imagemagick|photoscape)
        (?:\ v?\d[\w.]*)? (?:\ with\ [\w-]+\ preset)?
    | lead\ technologies (?:\ inc\.?)? (?:\ v[\d.]+)?
    | creator:\ gd-jpeg\ v[\d.]+ (?:\ \(using\ ijg\ jpeg\ v\d+\))? (?:,\ (?:default\ quality|quality\ =\ \d+))?
    | intel\(r\)\ jpeg\ library (?:,?\ version\ [\[\]\d.]+)? | file\ written\ by\ adobe\ photoshop\W*[\d.]* | applemark
    | iclarified
    | screenshot | default | untitled | image | picture | photo | digital\ image | user\ comments? | binary\ comment
    | (?:charset=)? (?:ascii|unicode|jis)
    """,
    re.VERBOSE | re.IGNORECASE,
)


_UNREADABLE = ("Cc", "Cn", "Co", "Cs")
"""Unicode's categories of characters that do not occur in texts; a joiner (Cf) does, between the parts of an emoji."""


def is_stock(text: str) -> bool:
    """Tell whether a text of metadata is one that a maker or a program has written, and not a person."""
    lines = [" ".join(line.split()) for line in text.splitlines()]  # a person may have written below what a program wrote
    return _is_settings(text.strip()) or all(map(_is_line_of_stock, filter(None, lines)))


def _is_line_of_stock(line: str) -> bool:
    return any(pattern.fullmatch(line) for pattern in (_CAMERAS, _MODES, _PROGRAMS))


def is_noise(text: str) -> bool:
    """Tell whether a text of Exif is no text: blank, or bytes of something else, which some cameras keep there."""
    unreadable = sum(unicodedata.category(character) in _UNREADABLE and not character.isspace() for character in text)
    return unreadable * 4 >= len(text.strip())


def _is_settings(text: str) -> bool:
    """Tell whether a text is an object of JSON, as phones keep the settings of an exposure."""
    if not (text.startswith("{") and text.endswith("}")):
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
