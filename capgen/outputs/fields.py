"""The two texts that the metadata of an image has for it, and what becomes of each when a caption is written."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from capgen.outputs import policy
from capgen.outputs.choices import Existing
from capgen.storage.hashing import caption_hash


@dataclass(frozen=True)
class Fields:
    """A description and an alternative text.

    Attributes:
        description: What the image shows, for everybody; ``None`` if there is none, or, in writing, if it stays as it is.
        alternative: What stands for the image where it cannot be seen; ``None`` as above.
        in_exif: Whether the Exif of the image has a description, even a camera's, which some programs show in front of XMP.
        done: The names of fields that have a caption of capgen's in them, so that none is added to them.
        doubtful: Texts in the description that may be misread, since they are not in UTF-8 and do not say in which encoding
            they are, by exiftool's name of the metadata field that each was read from.
    """

    description: str | None = None
    alternative: str | None = None
    in_exif: bool = False
    done: frozenset[str] = frozenset()
    doubtful: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, caption: "Fields | str") -> "Fields":
        """Return the fields that a caption stands for: a text is that of both."""
        return caption if isinstance(caption, Fields) else cls(caption, caption)

    @property
    def text(self) -> str | None:
        """One text for both fields: theirs if they agree or one is missing, the two joined otherwise; ``None`` without any.

        The joined text is that of neither field, so a person's words in one of them are a caption that was changed.
        """
        return joined(self.description, self.alternative)

    @property
    def hashes(self) -> dict[str, str]:
        """The hash of each field that has a text, by its name."""
        texts = {"description": self.description, "alternative": self.alternative}
        return {name: caption_hash(text) for name, text in texts.items() if text is not None}

    @property
    def is_full(self) -> bool:
        """Whether neither field is missing."""
        return self.description is not None and self.alternative is not None

    def or_else(self, other: "Fields") -> "Fields":
        """Return these fields, and those of ``other`` where they are missing."""
        return Fields(
            self.description if self.description is not None else other.description,
            self.alternative if self.alternative is not None else other.alternative,
            self.in_exif or other.in_exif,
            self.done | (other.done - self.hashes.keys()),
            self.doubtful if self.description is not None else other.doubtful,
        )

    def without(self, names: Collection[str]) -> "Fields":
        """Return these fields but those with the names."""
        description, alternative = (
            None if name in names else getattr(self, name) for name in ("description", "alternative")
        )
        return replace(self, description=description, alternative=alternative)

    def taking(self, caption: str, existing: Existing) -> "Fields":
        """Return the new text of each field. A field is only joined with its own old text, never with the other field's."""
        description, alternative = (
            text if existing.adds and name in self.done else _taking(text, caption, existing)
            for name, text in (("description", self.description), ("alternative", self.alternative))
        )
        return Fields(description, alternative, self.in_exif)


def joined(*texts: str | None) -> str | None:
    """Join different texts by line ends; ``None`` if all of them are missing or blank."""
    return "\n".join(dict.fromkeys(text.strip() for text in texts if text and text.strip())) or None


def _taking(current: str | None, caption: str, existing: Existing) -> str | None:
    if existing is Existing.FILL:
        return caption if current is None else None
    return policy.combined(current, caption, existing)
