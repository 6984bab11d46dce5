"""A small captioner as files, and archives of it that are whole, changed or mean harm."""

import io
import json
import stat
import tempfile
import zipfile
from pathlib import Path

from capgen.captioner import bundle
from capgen.captioner.bundle import Description
from capgen.captioner.calibration import Calibration
from capgen.captioner.decoding import DecodingOptions
from capgen.captioner.vocabulary import SPECIAL
from capgen.images import Preprocessing

DESCRIPTION = Description(
    name="tiny",
    encoder={"name": "efficientnet-lite0", "output": "cells", "fingerprint": "abc"},
    decoder={"family": "attention", "lstm_size": 4},
    preprocessing=Preprocessing(size=32, resample="BILINEAR"),
    decoding=DecodingOptions(num_beams=3, max_words=7),
    calibration=Calibration(2.0, 1.5, {"images": 4}),
    training={"data": "café", "epochs": 2},
    scores={"dev": {"CIDEr-D": 0.5}},
)
CONTENTS = {
    bundle.VOCABULARY: json.dumps({"words": [*SPECIAL, "a", "dog"]}).encode(),
    bundle.ENCODER: b"the encoder's graph",
    bundle.DECODER: b"the decoder's graph",
    bundle.MODEL_CARD: b"# tiny\n",
}


def contents_of(path):
    """Return the bytes of the files in a folder or an archive, by name."""
    if path.is_dir():
        return {file.name: file.read_bytes() for file in path.iterdir()}
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def change(path, name, data):
    """Give a file other bytes, or take it away, and leave the rest as it is."""
    contents = {key: value for key, value in {**contents_of(path), name: data}.items() if value is not None}
    if path.is_dir():
        (path / name).unlink(missing_ok=True)
        for key, value in contents.items():
            (path / key).write_bytes(value)
        return
    with zipfile.ZipFile(path, "w") as archive:
        for key, value in contents.items():
            archive.writestr(key, value)


def describe(path, **values):
    """Change entries of ``bundle.json`` with its checksum; one set to ``None`` is taken away."""
    written = {**json.loads(contents_of(path)[bundle.DESCRIPTION]), **values}
    kept = {key: value for key, value in written.items() if value is not None and key != "checksum"}
    kept["checksum"] = bundle.checksum(kept)
    change(path, bundle.DESCRIPTION, json.dumps(kept).encode())


def everything(folder):
    """Return all that is below a folder, with the bytes of files."""
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def entry(name, mode=stat.S_IFREG | 0o644, kind=zipfile.ZIP_STORED):
    made = zipfile.ZipInfo("x" * len(name.encode()))
    made.external_attr, made.compress_type, made.filename = mode << 16, kind, name  # as it is: ZipInfo cuts at NUL
    return made


def packed(contents, *more, kind=zipfile.ZIP_STORED):
    """Return the bytes of a zip of some files, and of more entries, each a ``ZipInfo`` and its bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for made, data in [*((entry(name, kind=kind), data) for name, data in contents.items()), *more]:
            file.writestr(made, data)
    return buffer.getvalue()


def sealed(**values):
    """Return the bytes of a zip of a captioner whose description says something else, with the checksum of that."""
    written = {**json.loads(WHOLE[bundle.DESCRIPTION]), **values}
    written.pop("checksum")
    return packed({**WHOLE, bundle.DESCRIPTION: json.dumps({**written, "checksum": bundle.checksum(written)}).encode()})


def whole():
    """Return the files of the small captioner."""
    with tempfile.TemporaryDirectory() as folder:
        bundle.write(Path(folder) / "tiny", DESCRIPTION, CONTENTS)
        return contents_of(Path(folder) / "tiny")


WHOLE = whole()
