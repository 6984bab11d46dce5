"""What a job is asked to do: which images it captions, where the captions go, and what becomes of each of them."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from capgen.captioner.results import Caption, Result
from capgen.errors import Status, UsageError, member
from capgen.inputs.folders import OnPassedOver
from capgen.inputs.lists import PathList, read_list_file, read_standard_input
from capgen.inputs.selection import STDIN, Found, Selection, parse_shard, texts
from capgen.outputs import DESTINATIONS, FORMATS, SHARD_FORMATS, format_of
from capgen.outputs.choices import Existing, SidecarName
from capgen.outputs.destination import Destination
from capgen.outputs.format import Format
from capgen.storage.files import is_folder
from capgen.storage.locations import is_url

_CLOSING = ",.;:!?)]}'\"…"
"""Characters that follow a word without a space."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Which images are captioned.

    Attributes:
        paths: Files, folders, patterns and URLs; or one of them.
        listed: More files and folders, whose names are not patterns; or one of them.
        standard_input: An image that came on the standard input, as the bytes of its file.
        list_folder: The folder of the list in which some of ``listed`` were found, as they were not found from here.
        selection: Which files of folders and patterns are taken, and which part of all files.
    """

    paths: Sequence[str] = ()
    listed: Sequence[str] = ()
    standard_input: bytes | None = field(default=None, repr=False)
    list_folder: Path | None = None
    selection: Selection = field(default_factory=Selection)

    def __post_init__(self) -> None:
        for name in ("paths", "listed"):
            object.__setattr__(self, name, texts(getattr(self, name)))

    @classmethod
    def of(
        cls,
        paths: Sequence[str],
        from_file: Path | None = None,
        *,
        nul: bool = False,
        selection: Selection | None = None,
        part: str | None = None,
    ) -> "Inputs":
        """Return the inputs that the arguments of a command stand for.

        Args:
            paths: Files, folders, patterns and URLs; ``-`` stands for a list of paths, or an image, on the standard input.
            from_file: A list of paths.
            nul: The paths in lists end with a zero byte.
            selection: Which files of folders and patterns are taken.
            part: The part of all files that is taken, as ``"2/8"`` for the second of eight.

        Raises:
            UsageError: There is nothing to look at, a list cannot be read, or there is no such part.
        """
        paths = texts(paths)
        if not paths and from_file is None:
            raise UsageError("nothing to caption: name photographs or folders, or - for paths or a photograph on stdin")
        if nul and from_file is None and STDIN not in paths:
            raise UsageError("`nul=True` is about paths from `from_file` or stdin; add - or `from_file=LIST`")
        piped = read_standard_input(sys.stdin.buffer, nul=nul) if STDIN in paths else PathList(())
        from_list = read_list_file(from_file, nul=nul) if from_file is not None else PathList(())
        selection = selection or Selection()
        return cls(
            paths=tuple(path for path in paths if path != STDIN),
            listed=(piped.paths if isinstance(piped, PathList) else ()) + from_list.paths,
            standard_input=None if isinstance(piped, PathList) else piped,
            list_folder=from_list.folder,
            selection=replace(selection, part=parse_shard(part)) if part else selection,
        )

    def find(self, on_passed_over: OnPassedOver = lambda location, kind: None, **changes: Any) -> Iterator[Found]:
        """Find the images.

        Args:
            on_passed_over: Called with what is passed over in folders, and its kind.
            changes: Fields of the selection that are different this time.
        """
        selection = replace(self.selection, **changes)
        piped = Found(Path(STDIN), Path(), self.standard_input)
        first = [piped] if self.standard_input is not None and selection.holds(piped) else []
        return chain(first, selection.find(self.paths, self.listed, on_passed_over))

    def with_data(self, found: Iterable[Found]) -> Iterator[Found]:
        """Give the image on the standard input its data again, among images of which only the paths were kept."""
        if self.standard_input is None:
            return iter(found)
        return (replace(one, data=self.standard_input) if one.path == Path(STDIN) else one for one in found)

    @property
    def may_be_several(self) -> bool:
        """Whether the arguments can stand for more than one image, whatever they stand for now."""
        if self.standard_input is not None:
            return bool(self.selection.part or self.paths or self.listed)
        return (
            self.selection.part is not None
            or len(self.paths) != 1
            or (is_url(self.paths[0]) and self.paths[0].endswith("/"))
            or is_folder(self.paths[0])
        )


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Where captions go. Several outputs can be written at once, but shards only alone.

    Attributes:
        file: A file for the captions of all images.
        standard_output: Print the captions.
        format: One of ``FORMATS`` for the file or the standard output, or of ``SHARD_FORMATS`` for shards; by default what
            the ending of the file says, text on the standard output, and JSON lines in shards.
        sidecar: The ending of a text file beside each image.
        xmp: Write an XMP file beside each image.
        embed: Write into the metadata of each image.
        output_dir: The folder into which sidecars and XMP files are written, instead of beside the images.
        sidecar_name: What the sidecar or XMP file of an image is called that has none: a ``SidecarName``.
        shards: A folder or URL into which shards are written.
        shard_size: Images in a numbered shard, 10,000 by default.
        report: A file of JSON lines with what became of every image; one that exists is replaced.
    """

    file: Path | None = None
    standard_output: bool = False
    format: str | None = None
    sidecar: str | None = None
    xmp: bool = False
    embed: bool = False
    output_dir: Path | None = None
    sidecar_name: str = SidecarName.AUTO
    shards: str | None = None
    shard_size: int | None = None
    report: Path | None = None

    @classmethod
    def to(cls, output: str | None, **more: Any) -> "Outputs":
        """Return the outputs with ``output`` as a file, or as the folder of shards if it is a folder or ends in ``/``.

        Args:
            output: A path or a URL; ``None`` for the standard output, unless ``more`` names another output and no format.
            more: Other fields.

        Raises:
            UsageError: It is a URL that does not end in ``/``, a folder and ``more`` is about files, or not a folder and
                ``more`` is about shards; or the standard output is closed.
        """
        if output is not None and _is_folder(output):
            if more.get("format") in set(FORMATS) - set(SHARD_FORMATS):
                raise UsageError(f"{output} is a folder, and {more['format']} is written to a file; name a file in it")
            return cls(shards=output, **more)
        if output is not None and is_url(output):
            raise UsageError(f"lines cannot be added to {output}; end it in / to write shards into it, or name a file here")
        _check_no_shards(more)
        made = cls(file=Path(output) if output is not None else None, **more)
        prints = output is None and (made.format is not None or not made.is_per_image)
        if prints and sys.stdout is None:
            raise UsageError("the standard output is closed, so captions cannot be printed; name a file with `output`")
        return replace(made, standard_output=prints)

    @property
    def is_per_image(self) -> bool:
        """Whether a file is written for each image."""
        return self.sidecar is not None or self.xmp or self.embed

    def destinations(self) -> list[Destination]:
        """Return what is written for each image.

        Raises:
            UsageError: The outputs do not fit together, or exiftool is missing.
        """
        if self.output_dir is not None and self.sidecar is None and not self.xmp:
            raise UsageError("`output_dir` says where sidecars go; add `sidecar='.txt'` or `xmp=True`")
        if self.sidecar_name != SidecarName.AUTO and self.sidecar is None and not self.xmp:
            raise UsageError("`sidecar_name` says what sidecars are called; add `sidecar='.txt'` or `xmp=True`")
        found: list[Destination] = []
        if self.sidecar is not None:
            found.append(DESTINATIONS["sidecar"](self.sidecar, self.output_dir, self.sidecar_name))
        if self.xmp:
            found.append(DESTINATIONS["xmp"](self.output_dir, self.sidecar_name))
        if self.embed:
            found.append(DESTINATIONS["embedded"]())
        return found

    def stream_format(self, *, several: bool) -> Format | None:
        """Return the format of the file or of the standard output; ``None`` if neither is written.

        Args:
            several: Whether more than one image is captioned.

        Raises:
            UnknownNameError: There is no such format.
            UsageError: The name of the file does not tell its format, or tells another.
        """
        if self.file is not None:
            return format_of(self.file, self.format)
        return FORMATS[self.format or "text"](several=several) if self.standard_output else None


def _is_folder(output: str) -> bool:
    """Return whether an output is a folder, or is to become one as it ends in ``/``."""
    return output.endswith("/") or (not is_url(output) and is_folder(output))


def _check_no_shards(fields: Mapping[str, Any]) -> None:
    """Make sure that no field of outputs is about shards.

    Raises:
        UsageError: One is.
    """
    if fields.get("format") in set(SHARD_FORMATS) - set(FORMATS):
        raise UsageError(f"{fields['format']} is written in shards: give `output` a folder, ending in /")
    if fields.get("shard_size") is not None:
        raise UsageError("`shard_size` is about shards: give `output` a folder, ending in /")


@dataclass(frozen=True, kw_only=True)
class OutputPolicy:
    """What becomes of a caption before it is written, and of one that exists.

    Attributes:
        existing: What is done where there is a caption already.
        force: Treat captions that a person has changed like any other.
        min_confidence: Captions below it are not written, 0 to 1.
        prefix: Text before every caption.
        suffix: Text after every caption.

    Raises:
        UnknownNameError: ``existing`` is not a policy.
    """

    existing: Existing = Existing.SKIP
    force: bool = False
    min_confidence: float = 0.0
    prefix: str = ""
    suffix: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "existing", member(Existing, self.existing, "policy for existing captions"))

    def with_affixes(self, caption: Caption) -> Caption:
        """Put prefix and suffix around a caption, with a space between words where there is none."""
        before = " " if self.prefix and not self.prefix[-1].isspace() else ""
        after = "" if not self.suffix or self.suffix[0].isspace() or self.suffix[0] in _CLOSING else " "
        return replace(caption, text=f"{self.prefix}{before}{caption.text}{after}{self.suffix}")

    def apply(self, result: Result) -> Result:
        """Return a result with prefix and suffix, and as one of low confidence if it is below the threshold."""
        if not result.captions:
            return result
        return self.apply_threshold(replace(result, captions=tuple(map(self.with_affixes, result.captions))))

    def apply_threshold(self, result: Result) -> Result:
        """Return a captioned result as one of low confidence if its best caption is below the threshold."""
        confidence = result.confidence
        if result.status is not Status.CAPTIONED or confidence is None or confidence >= self.min_confidence:
            return result
        reason = f"the caption's confidence is {confidence:.3f}, less than {self.min_confidence:g}"
        return replace(result, status=Status.LOW_CONFIDENCE, reason=reason)
