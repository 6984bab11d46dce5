"""A small source in each layout of data sets: how it is written, and how a row of it is damaged."""

import io
import json
from dataclasses import dataclass, field

from support.archives import structures, table, tarred
from support.drawing import draw, drawn


@dataclass(frozen=True)
class LayoutSample:
    """A source with two images, of which ``1.png`` has two captions.

    Attributes:
        files: The content of each file by its name, a text or a JSON value; a drawn image where it is ``None``.
        splits: The split of ``1.png`` and of ``2.png``.
        damaged: The files in which the row of ``2.png`` is damaged; bytes are written as they are.
        looked_for: What the error names where the layout finds nothing.
    """

    files: dict[str, object]
    splits: tuple[str | None, str | None]
    damaged: dict[str, object]
    looked_for: str
    captions: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {"1.png": ("A red circle.", "A circle."), "2.png": ("A blue square.",)}
    )


def write(folder, files):
    """Write each file under its name: a drawn image for ``None``, bytes, a text, or a JSON value; return the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            draw(path, "red", "circle", sum(map(ord, name)))
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content)
            path.write_bytes(text.encode())
    return folder


def _sentences(*captions):
    return [{"raw": caption} for caption in captions]


def _coco(identifier, name, *captions):
    return {
        "images": [{"id": identifier, "file_name": name}],
        "annotations": [
            {"id": index, "image_id": identifier, "caption": caption} for index, caption in enumerate(captions, 1)
        ],
    }


_IMAGES = {"1.png": None, "2.png": None}
_KARPATHY = [
    {"filename": "1.png", "split": "train", "sentences": _sentences("A red circle.", "A circle.")},
    {"filename": "2.png", "split": "test", "sentences": _sentences("A blue square.")},
]
_COCO_TRAIN = _coco(1, "1.png", "A red circle.", "A circle.")
_COCO_VAL = _coco(2, "2.png", "A blue square.")
_CSV = "image,caption,split\n1.png,A red circle.,train\n1.png,A circle.,train\n2.png,A blue square.,test\n"
_JSONL = (
    '{"image": "1.png", "captions": ["A red circle.", "A circle."], "split": "train"}\n'
    '{"image": "2.png", "captions": ["A blue square."], "split": "test"}\n'
)
_JSON = [json.loads(line) for line in _JSONL.splitlines()]
_FLICKR8K = "1.png#0\tA red circle.\n1.png#1\tA circle.\n2.png#0\tA blue square.\n"
_FLICKR30K = "image_name| comment_number| comment\n1.png| 0| A red circle.\n1.png| 1| A circle.\n2.png| 0| A blue square.\n"
_SHARDS = {
    "train.tar": tarred([("1.png", drawn(1)), ("1.txt", b"A red circle.\nA circle.\n")]),
    "test.tar": tarred([("2.json", b'{"caption": "A blue square."}'), ("2.png", drawn(2))]),
}


def _parquet(*images):
    file = io.BytesIO()
    captions = [["A red circle.", "A circle."], ["A blue square."]]
    return table(file, image=structures(images), captions=captions, split=["train", "test"]).getvalue()


SAMPLES = {
    "karpathy": LayoutSample(
        {"dataset_small.json": {"dataset": "small", "images": _KARPATHY}, **_IMAGES},
        splits=("train", "test"),
        damaged={"dataset_small.json": {"dataset": "small", "images": [_KARPATHY[0], {"filename": "2.png"}]}},
        looked_for="dataset_*.json",
    ),
    "coco": LayoutSample(
        {"captions_train2014.json": _COCO_TRAIN, "captions_val2014.json": _COCO_VAL, **_IMAGES},
        splits=("train", "dev"),
        damaged={
            "captions_train2014.json": {**_COCO_TRAIN, "images": [*_COCO_TRAIN["images"], {"id": 3}]},
            "captions_val2014.json": {"images": [], "annotations": []},
        },
        looked_for="captions_*.json",
    ),
    "flickr8k": LayoutSample(
        {
            "Flickr8k.token.txt": _FLICKR8K,
            "Flickr_8k.trainImages.txt": "1.png\n",
            "Flickr_8k.testImages.txt": "2.png\n",
            **_IMAGES,
        },
        splits=("train", "test"),
        damaged={
            "Flickr8k.token.txt": _FLICKR8K.replace("2.png#0\t", "2.png "),
            "Flickr_8k.testImages.txt": "",
        },
        looked_for="Flickr8k.token.txt",
    ),
    "flickr30k": LayoutSample(
        {"results.csv": _FLICKR30K, **_IMAGES},
        splits=(None, None),
        damaged={"results.csv": _FLICKR30K.replace("2.png| 0|", "2.png| 0 ")},
        looked_for="results.csv",
    ),
    "flickr30k-entities": LayoutSample(
        {
            "Sentences/1.txt": "A [/EN#1/other red circle] .\nA [/EN#1/other/shapes circle] .\n",
            "Sentences/2.txt": "[/EN#2/other A blue square] .\n",
            "train.txt": "1\n",
            "test.txt": "2\n",
            **_IMAGES,
        },
        splits=("train", "test"),
        damaged={"Sentences/2.txt": "Ein gr\u00fcnes Dreieck.".encode("latin-1")},
        looked_for="Sentences",
        captions={"1.png": ("A red circle .", "A circle ."), "2.png": ("A blue square .",)},
    ),
    "csv": LayoutSample(
        {"captions.csv": _CSV, **_IMAGES},
        splits=("train", "test"),
        damaged={"captions.csv": _CSV.replace("2.png,", ",")},
        looked_for="file_name",
    ),
    "jsonl": LayoutSample(
        {"captions.jsonl": _JSONL, **_IMAGES},
        splits=("train", "test"),
        damaged={"captions.jsonl": _JSONL.replace('["A blue', '["A blue"')},
        looked_for=".jsonl",
    ),
    "json": LayoutSample(
        {"captions.json": _JSON, **_IMAGES},
        splits=("train", "test"),
        damaged={"captions.json": json.dumps(_JSON).replace('["A blue', '["A blue"')},
        looked_for=".json",
    ),
    "folder": LayoutSample(
        {"1.txt": "A red circle.\nA circle.\n", "2.txt": "A blue square.\n", **_IMAGES},
        splits=(None, None),
        damaged={"2.txt": "Ein gr\u00fcnes Dreieck.".encode("latin-1")},
        looked_for=".txt",
    ),
    "webdataset": LayoutSample(
        _SHARDS,
        splits=("train", "test"),
        damaged={"test.tar": tarred([("2.json", b'{"caption": "A blue'), ("2.png", drawn(2))])},
        looked_for=".tar",
    ),
    "parquet": LayoutSample(
        {"shapes.parquet": _parquet(("1.png", drawn(1)), ("2.png", drawn(2)))},
        splits=("train", "test"),
        damaged={"shapes.parquet": _parquet(("1.png", drawn(1)), (None, None))},
        looked_for=".parquet",
    ),
}
"""One sample for each name in ``capgen.datasets.LAYOUTS``; a new layout adds its own."""
