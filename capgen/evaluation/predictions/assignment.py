"""Rows of captions put to the images of a split: an image gets at most one caption, and every fault is kept with a name."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from capgen.datasets.text_files import has_broken_bytes
from capgen.evaluation.predictions.form import Row
from capgen.evaluation.predictions.naming import BY_ID, AmbiguousNameError, ImageNames, Match, common, split_path
from capgen.evaluation.references import Split

_MARK = re.compile(r"<(?:start|end|bos|eos|sos|pad|unk|s|/s)>|\b(?:startseq|endseq)\b", re.IGNORECASE)
"""What captioners put before, behind and between words, and some programs forget to take away."""

NAMED_IMAGES = 3
"""The number of images that a message names where something is wrong with many."""


@dataclass(frozen=True)
class _Claim:
    """A row that names an image, and the image."""

    row: Row
    match: Match

    def contradicts(self, other: "_Claim") -> bool:
        """Tell whether the two rows name files in different folders, which cannot be the same image."""
        if BY_ID in (self.match.agreement, other.match.agreement):
            return False
        ours, theirs = split_path(self.row.image)[:-1], split_path(other.row.image)[:-1]
        return common(ours, theirs) < min(len(ours), len(theirs))


class Assignment:
    """The captions of a system for the images of a split.

    Args:
        split: The images.

    Attributes:
        captions: The caption of each image that has one, by the id of its reference.
    """

    def __init__(self, split: Split) -> None:
        self.captions: dict[str, str] = {}
        self._split = split
        self._names = ImageNames(split.references, split.others)
        self._named: set[str] = set()
        self._faults: dict[str, list[str]] = {}
        self._of_others: list[str] = []
        self._read_as_ids: list[str] = []
        self._with_marks: list[str] = []
        self._count = 0

    def assign(self, rows: Iterable[Row]) -> None:
        """Put rows to the images that they name."""
        claims: defaultdict[str, list[_Claim]] = defaultdict(list)
        for row in rows:
            self._count += 1
            match = self._find(row)
            if match is None:
                continue
            if match.is_other:
                self._of_others.append(row.image)
            else:
                claims[match.reference.id].append(_Claim(row, match))
        for reference_id, of_image in claims.items():
            self._choose(reference_id, of_image)

    def _find(self, row: Row) -> Match | None:
        """Return the image that a row names; a row that names none is a fault."""
        if not row.image:
            self._fault("without an image and a caption", row.where)
            return None
        try:
            match = self._names.find(row.image)
        except AmbiguousNameError as error:
            self._fault(
                "for images that share a name, so that a path or an id must tell them apart", f"{row.image}: {error}"
            )
            return None
        if match is None:
            self._fault("for images without references in this split", row.image)
        elif match.agreement == BY_ID and self._names.is_number_of_another(row.image, match.reference):
            self._read_as_ids.append(row.image)
        return match

    def _choose(self, reference_id: str, claims: Sequence[_Claim]) -> None:
        """Give an image the caption of the row that names it best.

        Files of one name in different folders are different images. If rows name different folders, the row whose folders
        agree with the most parts of the image's path is scored, and none if two agree equally well.
        """
        best = max(claims, key=lambda claim: claim.match.agreement)
        rivals = [claim for claim in claims if claim.contradicts(best)]
        if any(claim.match.agreement == best.match.agreement for claim in rivals):
            for claim in (best, *rivals):
                self._fault("for images of one name, of which the references have only one", claim.row.image)
            return
        for claim in claims:
            if claim in rivals:
                self._fault("for images without references in this split", claim.row.image)
            else:
                self._take(reference_id, claim.row)

    def _take(self, reference_id: str, row: Row) -> None:
        self._named.add(reference_id)
        if not row.captions:
            self._fault("without a caption", row.image)
        elif reference_id in self.captions:
            self._fault("for an image that is captioned twice", row.image)
        elif has_broken_bytes(row.captions[0]):
            self._fault("not UTF-8 text", row.image)
        elif not self._split.tokenizer.split(row.captions[0]):
            self._fault("empty", row.image)
        else:
            self.captions[reference_id] = row.captions[0]
            if _MARK.search(row.captions[0]):
                self._with_marks.append(row.image)
            if len(row.captions) > 1:
                self._fault("for an image that is captioned twice", row.image)

    def faults(self) -> list[str]:
        """Return a sentence for each kind of fault; what is faulty is not scored."""
        sentences = [self._sentence(names, fault) for fault, names in self._faults.items()]
        missing = [reference.id for reference in self._split.references if reference.id not in self._named]
        if missing:
            count = len(self._split.references)
            sentences.append(f"{len(missing):,} of {count:,} images have no prediction ({_first(missing)})")
        return sentences

    def surplus(self) -> list[str]:
        """Return a sentence on predictions that are not scored, since nobody asked for them."""
        surplus = self._of_others
        return [self._sentence(surplus, "for images of other splits or without references")] if surplus else []

    def notes(self) -> list[str]:
        """Return a sentence for each thing about predictions that are scored which may surprise."""
        notes = {
            "named by numbers, which are taken for ids, though files of other images have these numbers": self._read_as_ids,
            "captions with marks such as <end> or endseq, which are scored as words": self._with_marks,
        }
        return [self._sentence(names, note) for note, names in notes.items() if names]

    def _sentence(self, names: Sequence[str], what: str) -> str:
        verb = "is" if len(names) == 1 else "are"
        return f"{len(names):,} of {self._count:,} predictions {verb} {what} ({_first(names)})"

    def _fault(self, fault: str, name: str) -> None:
        self._faults.setdefault(fault, []).append(name)


def _first(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:NAMED_IMAGES])) + (" ..." if len(names) > NAMED_IMAGES else "")
