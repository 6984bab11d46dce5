"""Captions of two images in each form of predictions, and the same with the row of ``2.png`` damaged."""

import io
import json
import tarfile
from dataclasses import dataclass

FIRST, SECOND = "a red circle", "a blue square"


@dataclass(frozen=True)
class PredictionSample:
    """A source with the captions of ``1.png`` and ``2.png``.

    Attributes:
        name: The name of its file or folder.
        files: The content of each file by its path below the folder; that of the file alone under an empty name.
        damaged: The same, with the row of ``2.png`` damaged.
    """

    name: str
    files: dict[str, bytes]
    damaged: dict[str, bytes]

    def write(self, folder, *, damaged=False):
        """Write the source into a folder and return its path."""
        for name, content in (self.damaged if damaged else self.files).items():
            path = folder / self.name / name if name else folder / self.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / self.name


def _file(name, whole, damaged):
    texts = (one if isinstance(one, str | bytes) else json.dumps(one) for one in (whole, damaged))
    whole, damaged = (one if isinstance(one, bytes) else one.encode() for one in texts)
    return PredictionSample(name, {"": whole}, {"": damaged})


def _record(image, caption):
    return {"path": image, "status": "captioned", "caption": caption, "captions": [{"caption": caption}, {"caption": "a"}]}


def _parquet(*captions):
    import pyarrow
    import pyarrow.parquet

    buffer = io.BytesIO()
    table = pyarrow.table({"path": ["1.png", "2.png"], "caption": pyarrow.array(captions, pyarrow.string())})
    pyarrow.parquet.write_table(table, buffer)
    return buffer.getvalue()


def _tar(*records):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number, record in enumerate(records):
            data = json.dumps(record).encode()
            about = tarfile.TarInfo(f"{number}.json")
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return buffer.getvalue()


def _lines(*values):
    return "".join(json.dumps(value) + "\n" for value in values)


def _object(image, caption):
    return {"image_id": image, "caption": caption}


_WHOLE = [_object("1.png", FIRST), _object("2.png", SECOND)]
_DAMAGED = [_object("1.png", FIRST), {"image_id": "2.png"}]
_CAPGEN_LINES = _lines(_record("1.png", FIRST), _record("2.png", SECOND)), _lines(_record("1.png", FIRST), ["2.png"])

SAMPLES = {
    "shards": PredictionSample(
        "shards",
        {"00000.jsonl": _CAPGEN_LINES[0].encode(), "00000_stats.json": b"{}"},
        {"00000.jsonl": _CAPGEN_LINES[1].encode(), "00000_stats.json": b"{}"},
    ),
    "sidecars": PredictionSample(
        "sidecars", {"1.txt": FIRST.encode(), "2.txt": SECOND.encode()}, {"1.txt": FIRST.encode(), "2.txt": b"\xff\xfe"}
    ),
    "parquet": _file("said.parquet", _parquet(FIRST, SECOND), _parquet(FIRST, None)),
    "tar": _file("said.tar", _tar(_record("1.png", FIRST), _record("2.png", SECOND)), _tar(_record("1.png", FIRST), [1])),
    "objects": _file("said.json", _WHOLE, _DAMAGED),
    "pairs": _file("said.json", [["1.png", FIRST], ["2.png", SECOND]], [["1.png", FIRST], ["2.png"]]),
    "jsonl": _file("said.jsonl", *_CAPGEN_LINES),
    "dictionary": _file("said.json", {"1.png": FIRST, "2.png": [SECOND]}, {"1.png": FIRST, "2.png": None}),
    "table": _file(
        "said.csv",
        f"path,caption,confidence\n1.png,{FIRST},0.5\n2.png,{SECOND},0.5\n",
        f"path,caption\n1.png,{FIRST}\n2.png\n",
    ),
    "text": _file("said.tsv", f"1.png\t{FIRST}\n2.png\t{SECOND}\n", f"1.png\t{FIRST}\n2.png\n"),
}
"""By the name of the form."""
