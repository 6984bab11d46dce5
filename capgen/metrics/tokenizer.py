"""Words as the scores count them: those of the coco-caption tools, which run the PTBTokenizer of Stanford CoreNLP 3.4.1.

A caption comes in as text; its tokens go out in lower case, without coco-caption's list of punctuation. Contractions are
split (``do n't``, ``dog 's``), hyphenated words are not, abbreviations keep their period. What is not on that list counts
as a word: ``-lrb-`` and ``-rrb-``, which brackets become, ``!!``, ``:-rrb-``, a dollar.

The Java program is a lexer: at each place the rule with the longest match makes the next token, the first rule where
several match as far. ``_RULES`` does the same. OUTCOME
"""

import re

PUNCTUATION = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
"""The tokens that coco-caption drops. It names brackets too, in capitals, which no token has any more."""

_ABBREVIATIONS = (
    "adj adm adv ala alex apr ariz assn assoc asst atty attys aug ave bhd bldg blvd brig bros calif capt cf cie cmdr co col "
    "colo comdr conn corp cos cpl ct dak dec dept det dr drs elec ens esq est etc ext feb fla fri ft ga gen gov govs hon inc "
    "ind insp intl invt jan jos jr jul jun kan kans ky lieut lt ltd maj mar messrs mich minn mlle mme mo mon mont mr mrs ms "
    "msgr mt mtg natl neb nev nov oct okla penn pfc ph plc pres prof pvt rd rep reps rev rt sen sens sep sept seq sfc sgt "
    "spc sq sr st ste supt sys tel tenn thu thurs treas tue tues univ va vs vt wed wis wisc wm wyo al md mfg ppte ppty profs "
    "pte ptes pty ptys"
)
_ABBREVIATED_NAMES = "az ark del ill la mass miss ore pa tex wash"
"""Abbreviations in their capitalised form only."""
_BEFORE_NUMBERS = "art ca fig figs no nos op pp prop"
"""Abbreviations only where a number follows: "no. 5"."""
_SENTENCE_STARTS = (
    "A About According Additionally After An As At But Earlier He Her Here However If In It Last Many More Now Once One "
    "Other Our She Since So Some Such That The Their Then There These They This We When While What Yet You"
)
"""Words that show that the period of an initial before them ends a sentence."""


def _any_of(words: str, *, capitalised: bool = False) -> str:
    """Return a pattern of the words in any case, or with their first letter as it is."""
    if capitalised:
        return "|".join(f"{word[0].upper()}(?i:{word[1:]})" for word in words.split())
    return f"(?i:{words.replace(' ', '|')})"


_L = (  # a letter; superscripts, fractions and circled numbers are none, accents after a letter are
    r"(?:[^\W\d_²³¹¼-¾\u2070-\u2079\u2080-\u2089\u2150-\u218b\u2460-\u249b\u24ea-\u24ff\u2776-\u2793\U00010000-\U0010ffff]"
    r"|[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u064b-\u065e\u0900-\u0903\u093c-\u094d\u0e31-\u0e3a\u0e47-\u0e4e\u2010\u2011])"
)
_D = r"[^\W\D\U00010000-\U0010ffff]"
_W = rf"(?:{_L}|{_D})"
_A = "['’\x92]"
_WORD = rf"{_L}{_W}*(?:[.!?]{_L}{_W}*)*"
_CLITIC = rf"{_A}(?i:[smd]|re|ve|ll)(?!{_L})"
_PATH = r"(?:/[^\s\"<>|()]+[^\s\"<>|.!?(){},-])?"
_AND = "&(?:amp;)?"

_RULES = [
    re.compile(rule)
    for rule in (
        # Contractions. Where there is a group it is the token; what follows it counts only for the length.
        rf"([A-Za-z]*[A-MO-Za-mo-z])[nN]['’\x92`][tT]",  # do n't
        rf"[nN]['’\x92`][tT]",
        rf"({_WORD})(?:{_CLITIC})",  # dog 's
        _CLITIC,
        rf"('[tT])(?i:is|was)",  # 't is
        rf"([yY]{_A}){_L}",  # y' all
        # What an apostrophe joins.
        rf"{_A}n{_A}|{_A}n(?!{_L})",  # rock 'n' roll
        rf"[lLdDjJ]{_A}|(?i:dunkin|somethin|ol){_A}|{_A}(?i:em|till?|cause)|{_A}[2-9]0s",
        rf"{_L}*[aeiouyAEIOUY]{_A}[aeiouA-Z]{_L}*",  # ma'am
        rf"[A-HJ-XZn]{_A}{_L}{{2}}{_W}*",  # o'neill
        rf"(?i:c'mon|e'er|s'mores|ev'ry|li'l|nor'easter|nat'l|cont'd|o'o)",
        rf"({_A}{_D}{{2}})\s",  # '08
        # Words.
        _WORD,
        rf"(?:[dDoOlL]['’`])?{_W}+(?:-(?:[dDoOlL]['’`])?{_W}+)*",  # o'clock t-shirt 10am
        rf"{_W}+(?:_{_W}+)*",
        r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*(?:/[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*){1,2}",  # and/or
        rf"{_W}(?:{_W}|[.,])*(?:-(?:[A-Za-z](?:\.[A-Za-z])+\.|{_W}+))+",  # 3.5-inch
        rf"[A-Z]+(?:{_AND}[A-Z]+)+",  # at&t
        r"[cC]\+\+|[cCfF]\#",
        # Periods that stay.
        rf"[A-Za-z](?:\.[A-Za-z])+\.",  # u.s.
        rf"[A-Za-z]\.(?!\s+(?:{_any_of(_SENTENCE_STARTS, capitalised=True)})(?!\S))",  # j. smith
        rf"(?:{_any_of(_ABBREVIATIONS)})\.",
        rf"(?:{_any_of(_ABBREVIATED_NAMES, capitalised=True)})\.",
        rf"((?:{_any_of(_BEFORE_NUMBERS)})\.)\s?{_D}",
        rf"({_WORD}\.)[,;:]",
        rf"({_W}+(?:-{_W}+)*\.)[,;:]",
        # Numbers.
        rf"[-+]?{_D}*(?:[.:,]{_D}+)+",
        rf"[-+]?{_D}+",
        rf"{_D}{{1,2}}[-/]{_D}{{1,2}}[-/]{_D}{{2,4}}",
        rf"(?:{_D}{{1,4}}[- \xa0])?{_D}{{1,4}}[/⁄]{_D}{{1,4}}",
        r"[⁺⁻₊₋]?[²³¹⁰-⁹₀-₉]+",
        r"\([0-9]{2,3}\)[ \xa0]?[0-9]{3,4}[- \xa0]?[0-9]{3,5}",
        r"(?:\+\+?)?(?:[0-9]{2,4}[- \xa0])?[0-9]{2,4}[- \xa0][0-9]{3,4}[- \xa0]?[0-9]{3,5}",
        r"[A-Z]+\$",
        # The web.
        r"https?://[^\s\"<>|()]+[^\s\"<>|.!?(){},-]",
        rf"www\.(?:[^\s\"<>|.!?(){{}},]+\.)+[A-Za-z]{{2,4}}{_PATH}",
        rf"(?:[^\s\"`'<>|.!?(){{}},\-_$]+\.)+(?:com|net|org|edu){_PATH}",
        r"<?[a-zA-Z0-9][^\s\"<>|()\xa0{}]*@(?:[^\s\"<>|(){}.\xa0]+\.)*[^\s\"<>|(){}.\xa0]+>?",
        rf"@[A-Za-z_]\w*|\#{_L}+",
        r"<[!?]?[A-Za-z_][\w:.@/-]*(?:\s+[A-Za-z][\w:.-]*(?:=(?:\"[^\"]*\"|'[^']*'))?)*\s*/?>|</[A-Za-z][\w:.-]*\s*>|<!--.*?>",
        r"&(?:amp|lt|gt|quot|apos|nbsp|[mn]dash|MD|HT|TL|UR|LR|QC|QL|QR|[oc]dq|\#[0-9]+);",
        r"[<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]](?![A-Za-z])|:3(?!\w)|\^_\^|[-oT>^]_[-oT<^]|\(\^_\^\)",
        # Punctuation.
        r"[?!]+|\*+|_+|--+|\#\#+|@@+|<<|>>|''|``",
        r"[!-/:-@\[-^`{-~¡-¬®-¿×÷\u2013-\u2023\u2026\u2030-\u203b\u203e-\u2042\u2044\u20a0\u20a4\u20ac\u2100-\u214f\u2190-\u2bff"
        r"\u3001\u3002\u3012\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\uffe0\uffe1\uffe5\uffe6]",
    )
]
_WRITTEN = {
    **{word: word[:3].split() + [word[3:]] for word in ("cannot", "gonna", "gotta", "lemme", "gimme", "wanna")},
    "(": ["-lrb-"],
    ")": ["-rrb-"],
    "[": ["-lsb-"],
    "]": ["-rsb-"],
    "{": ["-lcb-"],
    "}": ["-rcb-"],
    "£": ["#"],
    "€": ["$"],
    "¤": ["$"],
    "₠": ["$"],
    "\x80": ["$"],
    "¢": ["cents"],
    "¼": ["1/4"],
    "½": ["1/2"],
    "¾": ["3/4"],
    "⅓": ["1/3"],
    "⅔": ["2/3"],
    "&lt;": ["<"],
    "&gt;": [">"],
    **dict.fromkeys("\"'`’‘‛‹›“”«»–—―‗…", []),
    **dict.fromkeys(["&quot;", "&apos;", "&nbsp;", "&mdash;", "&ndash;", "&MD;"], []),
}
_RUN = re.compile(
    rf"\s*(?:[A-Za-z]++(?:-[A-Za-z]++)*+\s*+,?(?:\s++|$))++(?:(?!(?:{_any_of(_ABBREVIATIONS)}|{_any_of(_ABBREVIATED_NAMES)})\.)[A-Za-z]{{2,}}\.?\s*$)?"
)
_RUN = re.compile(
    rf"""
    \s*+
    (?:[A-Za-z]++(?:-[A-Za-z]++)*+,?(?:\s++|$)|,\s++)*+
    (?:(?!(?:{_any_of(_ABBREVIATIONS)}|{_any_of(_ABBREVIATED_NAMES)})\.)[A-Za-z]{{2,}}\.$|\.$)?
    """,
    re.X,
)


def tokenize(caption: str) -> list[str]:
    """Split a caption into the tokens that the scores count."""
    text = caption.replace("\xad", "").rstrip()
    tokens = []
    place = 0
    while place < len(text):
        run = _RUN.match(text, place)
        if run[0]:
            tokens += run[0].lower().replace(",", " ").replace(".", " ").split()
            place = run.end()
            continue
        token, place = _next(text, place)
        if token is not None:
            tokens.append(token)
    if not _WRITTEN.keys().isdisjoint(tokens):
        tokens = [w for t in tokens for w in _WRITTEN.get(t, [t])]
    return [t for t in tokens if t not in PUNCTUATION]


def _next(text, place):
    best = max((m for rule in _RULES if (m := rule.match(text, place))), key=lambda m: m.end(), default=None)
    if best is None:
        return None, place + 1
    token = best[best.re.groups]
    return token.lower().replace("&amp;", "&").replace(" ", "\xa0").replace("(", "("), best.end(best.re.groups)
