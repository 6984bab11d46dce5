"""A trained captioner on disk: a folder, or a ``.capgen`` zip of it. Data only; nothing in it is ever executed.

``bundle.json`` describes it and carries the SHA-256 of every other file; what is read is checked against that first.
"""

import hashlib
import io
import json
import math
import os
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from capgen.captioner import container
from capgen.captioner.backends import DEFAULT_BACKEND
from capgen.captioner.calibration import Calibration
from capgen.captioner.decoding import DecodingOptions
from capgen.captioner.slots import VisualWords
from capgen.captioner.vocabulary import Vocabulary
from capgen.errors import BundleError, UnknownNameError, UsageError
from capgen.images import Preprocessing
from capgen.storage import files, paths

SCHEMA = 1
DESCRIPTION = "bundle.json"
VOCABULARY = "vocabulary.json"
ENCODER = "encoder.tflite"
DECODER = "decoder.tflite"
WEIGHTS = "weights.npz"
NAMES = "names.json"
AVERAGE = "average.npy"
COMMON = "common.json"
MODEL_CARD = "MODEL_CARD.md"
FILES = (DESCRIPTION, VOCABULARY, ENCODER, DECODER, WEIGHTS, NAMES, AVERAGE, COMMON, MODEL_CARD)
SUFFIX = ".capgen"

SHIPPED = Path(__file__).parents[1] / "models"
"""Where the captioners inside the package lie."""

DEFAULT = "everyday"
"""The captioner used when none is named and the user chose no other."""


@dataclass(frozen=True)
class Description:
    """What ``bundle.json`` says, apart from the hashes.

    Attributes:
        name: What the captioner is called.
        encoder: Name, output and key of the encoder.
        decoder: Family and sizes of the decoder.
        preprocessing: How a picture becomes the encoder's input.
        decoding: How captions are searched unless asked otherwise.
        calibration: How sure a caption of a score is.
        training: Data set, its fingerprint, and the config.
        scores: Split name to scores.
    """

    name: str
    encoder: dict[str, Any]
    decoder: dict[str, Any]
    preprocessing: Preprocessing
    decoding: DecodingOptions
    calibration: Calibration
    training: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    backend: str = DEFAULT_BACKEND


class Bundle:
    """An opened captioner.

    Args:
        place: The folder or the zip.

    Raises:
        BundleError: It is missing, incomplete, changed or of another version.
    """

    def __init__(self, place: Path) -> None:
        """Read and check the description and the vocabulary."""
        self.place = place
        self._source = container.opened(place)
        self.written = self._source.read(DESCRIPTION)
        values = self._json(DESCRIPTION, self.written)
        if not isinstance(values, dict) or values.get("schema") != SCHEMA:
            raise BundleError(f"{place} was written by another version of capgen (schema {_schema(values)}, not {SCHEMA})")
        if values.pop("seal", None) != _seal(values):
            raise BundleError(f"{place} is damaged: {DESCRIPTION} is not as it was written; get the captioner anew")
        try:
            self._hashes = _checked_hashes(values["files"])
            self.description = Description(
                name=values["name"],
                encoder=values["encoder"],
                decoder=values["decoder"],
                preprocessing=Preprocessing(**values["preprocessing"]),
                decoding=DecodingOptions.from_plain(values["decoding"]),
                calibration=Calibration(**values["calibration"]),
                training=values["training"],
                scores=values["scores"],
                backend=values.get("backend", DEFAULT_BACKEND),
            )
            _check_kinds(self.description, self._hashes)
            self.vocabulary = Vocabulary.from_plain(self._json(VOCABULARY, self.read(VOCABULARY)))
            self.visual_words = (
                VisualWords.from_plain(self._json(NAMES, self.read(NAMES))) if NAMES in self._hashes else None
            )
        except KeyError as error:
            raise BundleError(f"{place}: {DESCRIPTION} lacks {error}; get the captioner anew") from error
        except (TypeError, ValueError, UsageError) as error:
            raise BundleError(
                f"{place}: {DESCRIPTION} is not as capgen writes it ({error}); get the captioner anew"
            ) from error

    def read(self, name: str) -> bytes:
        """Return the checked bytes of one of its files."""
        data = self._source.read(name)
        self._check(name, hashlib.sha256(data).hexdigest())
        return data

    @cached_property
    def average(self) -> np.ndarray:
        """The features of an average picture, (C, D) float32, which guidance needs.

        Raises:
            BundleError: There are none.
        """
        try:
            return _table(self.read(AVERAGE))
        except (ValueError, TypeError, EOFError) as error:
            raise BundleError(f"{self.place} is damaged: {AVERAGE} holds no features; get the captioner anew") from error

    @cached_property
    def common(self) -> dict[tuple[int, ...], int]:
        """Ids of the captions that it says of several of its training images, and of how many, which variety needs.

        Raises:
            BundleError: There are none.
        """
        rows = self._json(COMMON, self.read(COMMON))
        if not (isinstance(rows, list) and all(_is_caption(row, len(self.vocabulary)) for row in rows)):
            raise BundleError(f"{self.place} is damaged: {COMMON} holds no captions; get the captioner anew")
        return {tuple(ids): times for times, *ids in rows}

    def graph(self, name: str) -> Path | bytes:
        """Return a checked graph as LiteRT takes it: a file that it can map, or the bytes of one inside a zip."""
        if not isinstance(self._source, container.Folder):
            return self.read(name)
        path = self.place / name
        self._source.size(name)  # so that it is a plain file
        try:
            self._check(name, files.sha256(path))
        except OSError as error:
            raise BundleError(f"{self.place} is incomplete: {name} cannot be read ({error.strerror})") from error
        return path

    def verify(self) -> None:
        """Check every file.

        Raises:
            BundleError: Names the first that is missing or changed.
        """
        for name in self._hashes:
            self.read(name)

    def contents(self) -> dict[str, bytes]:
        """Return the checked bytes of all its files by name, the description as it was written."""
        return {DESCRIPTION: self.written, **{name: self.read(name) for name in self._hashes}}

    def _check(self, name: str, found: str) -> None:
        if found != self._hashes.get(name):
            raise BundleError(f"{self.place} is damaged: {name} is not the file it was written with; get the captioner anew")

    def _json(self, name: str, data: bytes) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{self.place} is damaged: {name} is no JSON; get the captioner anew") from error


def find(model: str | Path | None) -> Path:
    """Return the place of a captioner.

    Args:
        model: A path, the name of one in the data folder or of one that ships, or ``None`` for the default.

    Raises:
        UnknownNameError: There is none; the message offers the nearest.
        BundleError: There is nothing at the path, or the captioner chosen as the default has gone.
    """
    if model is None:
        return _default()
    name = str(model)
    given = Path(os.path.expanduser(name))  # noqa: PTH111 - Path.expanduser raises for unknown users
    if os.sep in name or given.suffix == SUFFIX or _exists(given / DESCRIPTION):
        if not _exists(given):
            raise BundleError(f"there is no captioner at {given}")
        return given
    if place := _named(name):
        return place
    raise UnknownNameError("captioner", name, names())


def _named(name: str) -> Path | None:
    places = (folder / name for folder in (paths.models_dir(), SHIPPED))
    return next((place for place in places if _exists(place / DESCRIPTION)), None)


def _default() -> Path:
    name = chosen()
    if name is None:
        return SHIPPED / DEFAULT
    if place := _named(name):
        return place
    raise BundleError(
        f"{name!r}, the captioner chosen as the default, is not there any more;"
        " go back to the one that ships with: capgen models default --reset"
    )


def chosen() -> str | None:
    """Return the name of the captioner that this user chose as the default, ``None`` if there is no choice.

    Raises:
        BundleError: What was written down cannot be read, or is no name.
    """
    file = paths.default_file()
    try:
        name = file.read_text().removesuffix("\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        name = ""
    if not paths.NAME.fullmatch(name):
        raise BundleError(f"{file} does not name a captioner; go back to the one that ships: capgen models default --reset")
    return name


def names() -> list[str]:
    """Return the names of all captioners at hand."""
    places = (place for folder in (paths.models_dir(), SHIPPED) for place in folder.glob(f"*/{DESCRIPTION}"))
    return sorted({place.parent.name for place in places})


def write(place: Path, description: Description, contents: dict[str, bytes]) -> None:
    """Write a captioner, as a zip if ``place`` ends in ``.capgen``, else as a folder; an older one there is replaced.

    Args:
        place: Where to.
        description: What it is.
        contents: The other files, by name.

    Raises:
        StorageError: It cannot be written; what was there before is as it was.
    """
    check_place(place)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(contents.items())}
    values = {"schema": SCHEMA, **asdict(description), "decoding": description.decoding.plain(), "files": hashes}
    text = files.json_text({**values, "seal": _seal(values)}, indent=1) + "\n"
    everything = {**contents, DESCRIPTION: text.encode()}
    if place.suffix == SUFFIX:
        files.write_with(place, lambda file: container.pack(file, everything))
        return
    files.write_folder(place, everything)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have
        return False


def check_place(place: Path) -> None:
    """Make sure that writing a captioner to ``place`` would replace nothing but an older captioner.

    Raises:
        BundleError: Something else is there.
    """
    if place.suffix == SUFFIX:
        free = place.is_file() or not place.exists()
    else:
        free = not place.exists() or (place.is_dir() and (_exists(place / DESCRIPTION) or not any(place.iterdir())))
    if not free:
        raise BundleError(f"{place} exists and is no captioner; it would be lost: choose another place with --out")


def _table(data: bytes) -> np.ndarray:
    """Read an ``.npy`` file of finite numbers in rows and columns."""
    found = np.load(io.BytesIO(data), allow_pickle=False)
    if not (isinstance(found, np.ndarray) and found.shape[1:] and np.isfinite(found).all()):
        raise ValueError("no table of numbers")
    return found.astype(np.float32)


def _is_caption(row: Any, entries: int) -> bool:
    """Whether a row is a number of times and the ids of a caption."""
    numbers = isinstance(row, list) and len(row) > 1 and all(type(number) is int for number in row)
    return numbers and row[0] > 0 and all(0 <= index < entries for index in row[1:])


def _seal(values: dict[str, Any]) -> str:
    """Hash what a description says, however it is laid out."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _checked_hashes(values: Any) -> dict[str, str]:
    """Return the hashes of a description by file name, if they name nothing but other files right beside it."""
    hashes = dict(values)
    plain = len(hashes) < container.MAX_FILES and all(map(container.is_plain, hashes))
    if not plain or len({name.lower() for name in (DESCRIPTION, *hashes)}) <= len(hashes):  # some systems ignore case
        raise ValueError("its list of files is none")
    return hashes


def _check_kinds(description: Description, hashes: dict[str, str]) -> None:
    """Make sure that what is shown and computed with is what it should be; the seal only says that nobody touched it."""
    calibration = description.calibration
    objects = (description.encoder, description.decoder, description.training, description.scores, calibration.reliability)
    numbers = all(abs(value) < math.inf for value in (calibration.slope, calibration.offset))
    if not (numbers and isinstance(description.name, str) and all(isinstance(value, dict) for value in objects)):
        raise TypeError("a value is of another kind")
    if not _is_shallow(objects, _LEVELS):
        raise ValueError("it goes too deep")
    if description.decoding.guidance > 1 and AVERAGE not in hashes:
        raise ValueError(f"there is guidance without {AVERAGE}")
    if description.decoding.common_caption_penalty and COMMON not in hashes:
        raise ValueError(f"there is a common-caption penalty without {COMMON}")


_LEVELS = 10
"""Of lists and objects in each other in a description; far more would be too many for Python."""


def _is_shallow(values: Any, levels: int) -> bool:
    inner = values.values() if isinstance(values, dict) else values if isinstance(values, (list, tuple)) else ()
    return levels > 0 and all(_is_shallow(value, levels - 1) for value in inner)


def _schema(values: Any) -> str:
    return str(values.get("schema") if isinstance(values, dict) else None)[:40]
