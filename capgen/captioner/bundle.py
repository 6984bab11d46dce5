"""A trained captioner on disk: a folder, or a ``.capgen`` zip of it. It holds data only; nothing in it is ever executed.

``bundle.json`` describes the captioner and carries the SHA-256 of every other file, by which a file is
checked before it is used.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from capgen.captioner import bundle_checks, bundle_schema1, container
from capgen.captioner.backends import DEFAULT_BACKEND
from capgen.captioner.calibration import Calibration
from capgen.captioner.constraints import ConstraintConfig
from capgen.captioner.decoding import DecodingOptions
from capgen.captioner.slots import VisualWords
from capgen.captioner.vocabulary import Vocabulary
from capgen.errors import BundleError, UsageError, os_reason
from capgen.images import Preprocessing
from capgen.storage import files

SCHEMA = 2
DESCRIPTION = container.DESCRIPTION
VOCABULARY = "vocabulary.json"
ENCODER = "encoder.tflite"
DECODER = "decoder.tflite"
WEIGHTS = "weights.npz"
NAMES = "names.json"
AVERAGE = "average.npy"
COMMON = "common.json"
MODEL_CARD = "MODEL_CARD.md"
FILES = (DESCRIPTION, VOCABULARY, ENCODER, DECODER, WEIGHTS, NAMES, AVERAGE, COMMON, MODEL_CARD)
SUFFIX = container.SUFFIX


@dataclass(frozen=True)
class Description:
    """What ``bundle.json`` says, apart from the hashes.

    Attributes:
        name: The captioner's name for itself.
        encoder: Name, output, fingerprint and origin of the encoder.
        decoder: Family and sizes of the decoder.
        preprocessing: How an image becomes the model's input.
        decoding: How captions are decoded where a request leaves it open.
        calibration: What confidence a score is worth.
        training: The data set, its fingerprint, and the settings.
        scores: The scores on each split, by its name.
        backend: What runs the model: a name in ``backends.BACKENDS``.
        constraints: The constants of what it may say, chosen on dev.
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
    constraints: ConstraintConfig = field(default_factory=ConstraintConfig.default)


class Bundle:
    """An opened captioner.

    Args:
        path: The folder or the zip.

    Raises:
        BundleError: It is missing, incomplete, changed or of another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = container.open_files(path)
        self.description_bytes = self._files.read(DESCRIPTION)
        values = self._verified(self._json(DESCRIPTION, self.description_bytes))
        try:
            if values["schema"] == 1:
                values = bundle_schema1.as_schema2(values)
            self._hashes = bundle_checks.checked_hashes(values["files"], DESCRIPTION)
            self.description = _description(values)
            bundle_checks.check_values(self.description)
            _check_files(self.description, self._hashes)
            self.visual_words = self._visual_words()
            if VOCABULARY in self._hashes:
                _ = self.vocabulary  # a damaged one is found now, and not with the first image
        except KeyError as error:
            raise BundleError(f"{path}: {DESCRIPTION} lacks {error}; get the captioner anew") from error
        except (TypeError, ValueError, UsageError) as error:
            raise BundleError(
                f"{path}: {DESCRIPTION} is not as capgen writes it ({error}); get the captioner anew"
            ) from error

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words that the captioner knows, which only some backends need.

        Raises:
            BundleError: There is no vocabulary.
        """
        return Vocabulary.from_plain(self._json(VOCABULARY, self.read(VOCABULARY)))

    def read(self, name: str) -> bytes:
        """Return the checked bytes of one of its files."""
        data = self._files.read(name)
        self._check(name, hashlib.sha256(data).hexdigest())
        return data

    @cached_property
    def average(self) -> np.ndarray:
        """The features of an average image, (C, D) float32, which guidance needs.

        Raises:
            BundleError: There are none.
        """
        try:
            return bundle_checks.table(self.read(AVERAGE))
        except (ValueError, TypeError, EOFError) as error:
            raise BundleError(f"{self.path} is damaged: {AVERAGE} holds no features; get the captioner anew") from error

    @cached_property
    def common(self) -> dict[tuple[int, ...], int]:
        """Captions that the captioner generates for several training images: word ids to the number of images.

        The common-caption penalty needs them.

        Raises:
            BundleError: There are none.
        """
        rows = self._json(COMMON, self.read(COMMON))
        if not (isinstance(rows, list) and all(bundle_checks.is_caption(row, len(self.vocabulary)) for row in rows)):
            raise BundleError(f"{self.path} is damaged: {COMMON} holds no captions; get the captioner anew")
        return {tuple(ids): times for times, *ids in rows}

    def graph(self, name: str) -> Path | bytes:
        """Return a checked graph as LiteRT takes it: a file that it can map, or the bytes of one inside a zip."""
        if not isinstance(self._files, container.Folder):
            return self.read(name)
        path = self.path / name
        self._files.size(name)  # so that it is a plain file
        try:
            self._check(name, files.sha256(path))
        except OSError as error:
            raise BundleError(f"{self.path} is incomplete: {name} cannot be read ({os_reason(error)})") from error
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
        return {DESCRIPTION: self.description_bytes, **{name: self.read(name) for name in self._hashes}}

    def _verified(self, values: Any) -> dict[str, Any]:
        """Return a description without its checksum.

        Raises:
            BundleError: It is of a schema that is not known, or is not as it was written.
        """
        schema = values.get("schema") if isinstance(values, dict) else None
        if type(schema) is not int or schema not in _CHECKSUM_KEYS:
            raise BundleError(
                f"{self.path} was written by another version of capgen (schema {str(schema)[:40]}, not {SCHEMA})"
            )
        said = {name: value for name, value in values.items() if name != _CHECKSUM_KEYS[schema]}
        if values.get(_CHECKSUM_KEYS[schema]) != checksum(said):
            raise BundleError(f"{self.path} is damaged: {DESCRIPTION} is not as it was written; get the captioner anew")
        return said

    def _visual_words(self) -> VisualWords | None:
        if NAMES not in self._hashes:
            return None
        return VisualWords.from_plain(self._json(NAMES, self.read(NAMES)))

    def _check(self, name: str, found: str) -> None:
        if found != self._hashes.get(name):
            raise BundleError(f"{self.path} is damaged: {name} is not the file it was written with; get the captioner anew")

    def _json(self, name: str, data: bytes) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{self.path} is damaged: {name} is not JSON; get the captioner anew") from error


def write(path: Path, description: Description, contents: dict[str, bytes]) -> None:
    """Write a captioner, as a zip if ``path`` ends in ``.capgen``, else as a folder; an older one there is replaced.

    Args:
        path: Where the captioner will be.
        description: What ``bundle.json`` says.
        contents: The other files, by name.

    Raises:
        BundleError: Something that is not a captioner is there.
        StorageError: It cannot be written; what was there before is as it was.
    """
    check_target(path)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(contents.items())}
    said = asdict(description)
    values = {
        "schema": SCHEMA,
        "name": said.pop("name"),
        "backend": said.pop("backend"),
        **said,
        "decoding": description.decoding.plain(),
        "constraints": description.constraints.plain(),
        "files": hashes,
    }
    text = files.json_text({**values, _CHECKSUM_KEYS[SCHEMA]: checksum(values)}, indent=1) + "\n"
    everything = {**contents, DESCRIPTION: text.encode()}
    if path.suffix == SUFFIX:
        files.write_with(path, lambda file: container.pack(file, everything))
        return
    files.write_folder(path, everything)


def checksum(values: dict[str, Any]) -> str:
    """Return the SHA-256 of what a description says, however it is laid out."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


_CHECKSUM_KEYS = {1: bundle_schema1.CHECKSUM, SCHEMA: "checksum"}
"""The schemas that are read, and what each calls the checksum of the description."""


def _description(values: dict[str, Any]) -> Description:
    return Description(
        name=values["name"],
        encoder=values["encoder"],
        decoder=values["decoder"],
        preprocessing=Preprocessing(**values["preprocessing"]),
        decoding=DecodingOptions.from_plain(values["decoding"]),
        calibration=Calibration(**values["calibration"]),
        training=values["training"],
        scores=bundle_schema1.current_scores(values["scores"]),
        backend=values["backend"],
        constraints=ConstraintConfig.from_plain(values["constraints"]),
    )


def check_target(path: Path) -> None:
    """Make sure that writing a captioner to ``path`` would replace nothing but an older captioner.

    Raises:
        BundleError: Something else is there.
    """
    if path.suffix == SUFFIX:
        free = path.is_file() or not path.exists()
    else:
        free = not path.exists() or (path.is_dir() and ((path / DESCRIPTION).exists() or not any(path.iterdir())))
    if not free:
        raise BundleError(f"{path} exists and is not a captioner; it would be lost: choose another place with `out`")


def _check_files(description: Description, hashes: dict[str, str]) -> None:
    """Check that a captioner has the files that its backend and its decoding need.

    Raises:
        ValueError: A file is missing.
    """
    for name in _REQUIRED.get(description.backend, ()):
        if name not in hashes:
            raise ValueError(f"it has no hash of {name}")
    if description.decoding.guidance > 1 and AVERAGE not in hashes:
        raise ValueError(f"there is guidance without {AVERAGE}")
    if description.decoding.common_caption_penalty and COMMON not in hashes:
        raise ValueError(f"there is a common-caption penalty without {COMMON}")


_REQUIRED = {DEFAULT_BACKEND: (VOCABULARY, ENCODER, DECODER)}
"""The files that a backend cannot do without."""
