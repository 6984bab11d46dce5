#!/usr/bin/env bash
# What: exiftool writes metadata into a WebP, once in place and once into a new file with -o.
# Expected: the same from both, since the format can be written.
# Real: with -o and a name that ends in .webp it refuses ("Can't write RIFF files"), and with -o and a name without an ending it writes the file.
# Versions: exiftool 12.57 (Debian 12's libimage-exiftool-perl); Pillow 13.0.0 makes the image.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'pillow==13.0.0'
cd "$work"
venv/bin/python -c 'from PIL import Image; Image.new("RGB", (64, 64)).save("a.webp")'
test "$(exiftool -ver)" = 12.57 || { echo "another exiftool than 12.57 is installed: $(exiftool -ver)"; exit 1; }
cp a.webp in_place.webp
exiftool -overwrite_original -XMP-dc:Description=words in_place.webp
exiftool -XMP-dc:Description=words a.webp -o plain
if exiftool -XMP-dc:Description=words a.webp -o new.webp; then
    echo "this has changed: look at it anew"
    exit 1
fi
