"""Captions of mirror images: the words for left and right change places.

What is on the left of an image is on the right of its mirror image, so that a caption which names a side is true of only
one of the two. ``mirrored`` gives the words of the other. A word such as "right" has further senses ("right next to a
tree"), and only what stands beside it tells which one is meant; where that is not clear there is no caption of the mirror
image, and it is not learnt from.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from capgen.captioner.language import primary


@dataclass(frozen=True)
class Sides:
    """How a language names the sides of an image.

    Attributes:
        watched: Found in each word that may name a side.
        always: The words that always do, each with the word for the other side.
        behind: Words that do behind another: by the two words, the one for the other side.
        before: Words that do before another: likewise.
        otherwise: Two or three words, the first of which names no side before the others.
    """

    watched: re.Pattern[str]
    always: Mapping[str, str]
    behind: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    before: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    otherwise: frozenset[tuple[str, ...]] = frozenset()

    def opposite(self, caption: Sequence[str], position: int) -> str | None:
        """Return the word for the other side, or ``None`` if it is not clear that the word at a position names one."""
        word = caption[position]
        if any(tuple(caption[position : position + count]) in self.otherwise for count in (2, 3)):
            return None
        if word in self.always:
            return self.always[word]
        behind = tuple(caption[max(0, position - 1) : position + 1])
        return self.behind.get(behind) or self.before.get(tuple(caption[position : position + 2]))


def language_sides(language: str) -> Sides | None:
    """Return the words for left and right of a language, given by its tag; ``None`` if they are not known."""
    return _SIDES.get(primary(language))


def mirrored(caption: Sequence[str], sides: Sides) -> list[str] | None:
    """Return the caption of the mirror image of what a caption describes.

    Args:
        caption: The words of a caption, slots among them.
        sides: The words for left and right of its language.

    Returns:
        The words; ``None`` if a word of the caption may name a side or something else.
    """
    found = []
    for position, word in enumerate(caption):
        opposite = sides.opposite(caption, position) if sides.watched.search(word) else word
        if opposite is None:
            return None
        found.append(opposite)
    return found


def _both_ways(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {word: other for left, right in pairs for word, other in ((left, right), (right, left))}


def _combined(left: str, right: str, texts: str) -> dict[str, str]:
    """Return the compounds of two words for the sides, both ways; ``*`` in each text is where the word for the side is."""
    return _both_ways((text.replace("*", left), text.replace("*", right)) for text in texts.split())


def _behind(words: str, opposites: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    return {(word, side): other for word in words.split() for side, other in opposites.items()}


def _before(words: str, opposites: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    return {(side, word): other for word in words.split() for side, other in opposites.items()}


def _english() -> Sides:
    plain = {"left": "right", "right": "left"}
    senses = (
        "way time moment place size angle angles person thing answer amount direction spot kind tool temperature now "
        "behind alone over out off open unattended"
    )
    return Sides(
        watched=re.compile(r"(?:^|-)(?:left|right)"),
        always=_combined(
            "left",
            "right",
            "*most *-most *hand *-hand *handed *-handed *side *-side *-facing *ward *wards "
            "top-* bottom-* upper-* lower-* far-* front-* back-* mid-*",
        ),
        behind=_behind(
            "the his her its their my your our to from far upper lower rear",  # not "looking": right at me?
            plain,
        ),
        before=_before(
            "side sides hand hands arm foot leg knee shoulder ear eye elbow wrist ankle thigh hip cheek paw hoof wing "
            "corner edge half part portion section lane wheel turn field foreground background end wall page third bank "
            "boot shoe glove sleeve hind handed facing most",
            plain,
        ),
        otherwise=frozenset([*((side, sense) for side in plain for sense in senses.split()), ("right", "side", "up")]),
    )


def _german() -> Sides:
    endings = _both_ways((f"linke{ending}", f"rechte{ending}") for ending in ("", "n", "r", "s", "m"))
    return Sides(
        watched=re.compile(r"(?:^|-)(?:link|rechts|rechte[nrsm]?(?:$|-))"),
        always=endings
        | _combined("links", "rechts", "* *seitig *händer *händerin *außen *herum *unten *oben")
        | _combined("linker", "rechter", "*hand *seits"),
        otherwise=frozenset((f"rechte{ending}", "winkel") for ending in ("", "n", "r", "s", "m")),
    )


def _french() -> Sides:
    """The word for right agrees in gender with what it stands behind; the one for left is the same in both genders."""
    feminine = {"gauche": "droite", "droite": "gauche"}
    masculine = {"gauche": "droit", "droit": "gauche"}
    return Sides(
        watched=re.compile(r"(?:^|[-'])(?:gauch|droit)"),
        always={},
        behind=_behind(
            "à la de sa leur ma notre l'extrême main jambe épaule aile partie moitié rive oreille patte supérieure "
            "inférieure",
            feminine,
        )
        | _behind("côté bras pied œil oeil genou coude bord coin flanc supérieur inférieur", masculine),
    )


def _iberian(left: str, right: str, nouns: str) -> Sides:
    """Return the sides of a language in which the masculine word for right has other senses, and needs a noun before it."""
    return Sides(
        watched=re.compile(f"(?:^|-)(?:{left}|{right})"),
        always=_both_ways([(f"{left}a", f"{right}a"), (f"{left}as", f"{right}as")])
        | {f"{left}o": f"{right}o", f"{left}os": f"{right}os"},
        behind=_behind(nouns, {f"{right}o": f"{left}o"}),
    )


def _spanish() -> Sides:
    return _iberian(
        "izquierd",
        "derech",
        "lado brazo pie ojo hombro codo extremo costado borde margen carril zapato guante superior inferior",
    )


def _italian() -> Sides:
    return Sides(
        watched=re.compile(r"(?:^|[-'])(?:sinistr|destr)"),
        always=_both_ways((f"sinistr{ending}", f"destr{ending}") for ending in "aeio"),
    )


def _portuguese() -> Sides:
    return _iberian(
        "esquerd", "direit", "lado braço pé olho ombro joelho cotovelo canto bordo extremo sapato superior inferior"
    )


def _dutch() -> Sides:
    parts = (
        "kant zijde hand arm been voet oog oor schouder knie elleboog poot vleugel hoek helft deel bovenhoek onderhoek "
        "benedenhoek bovenkant onderkant"
    )
    return Sides(
        watched=re.compile(r"(?:^|-)(?:link|rechts|rechter)"),
        always={
            **_combined("links", "rechts", "* *e *boven *onder *voor *achter *af *om"),
            **_combined("linker", "rechter", " ".join(f"*{part}" for part in parts.split())),
            "linker": "rechter",
        },
        before=_before(parts, {"rechter": "linker"}),  # alone it is a judge
    )


_SIDES = {
    "en": _english(),
    "de": _german(),
    "fr": _french(),
    "es": _spanish(),
    "it": _italian(),
    "pt": _portuguese(),
    "nl": _dutch(),
}
"""By the first part of a language's tag."""
