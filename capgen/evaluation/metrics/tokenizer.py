"""Tokens as the scores count them: those of the coco-caption tools, which run the PTBTokenizer of Stanford CoreNLP 3.4.1.

A caption comes in as text; its tokens go out in lower case, without coco-caption's list of punctuation. Contractions are
split (``do n't``, ``dog 's``), hyphenated words are not, abbreviations keep their period. What is not on that list counts
as a token: ``-lrb-`` and ``-rrb-``, which brackets become, ``!!``, ``:-rrb-``, ``$``.

The Java program is a lexer: at each position the rule that matches the longest text makes the next token, and of equally
long matches the first rule. The rules here do the same. Every token of the 40,460 captions of Flickr8k and of the 117,675 of
Flickr30k is the same (1,939,313 tokens; ``scripts/compare_tokenizers.py``). Captions are tokenised one by one. The program,
given a file of captions, looks past the end of a line, so that six of these captions lose the period of a last initial to a
next caption that begins with "A".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from capgen.captioner.language import ENGLISH

_DROPPED = [
    *"'`\".?!,:;…‘‛’“”‹›«»–—―‐‑-",
    "''",
    "``",
    "--",
    "---",
    "----",
    "...",
    "....",
    ".....",
    "&quot;",
    "&nbsp;",
    "&mdash;",
    "&ndash;",
]
"""The punctuation on coco-caption's list, in all forms that the program writes like that. Its brackets are in capitals."""

_ABBREVIATIONS = (
    "adj adm adv al ala alex apr ariz assn assoc asst atty attys aug ave bhd bldg blvd brig bros calif capt cf cie "
    "cmdr co col colo comdr conn corp cos cpl ct dak dec dept det dr drs elec ens esq est etc ext feb fla fri ft ga "
    "gen gov govs hon inc ind insp intl invt jan jos jr jul jun kan kans ky lieut lt ltd maj mar md messrs mfg mich "
    "minn mlle mme mo mon mont mr mrs ms msgr mt mtg natl neb nev nov oct okla penn pfc ph plc ppte pptes ppty pptys "
    "pres prof profs pte ptes pty ptys pvt rd rep reps rev rt sen sens sep sept seq sfc sgt spc sq sr st ste supt "
    "supts sys tel tenn thu thurs treas tue tues univ va vs vt wed wis wisc wm wyo"
)
_ABBREVIATED_NAMES = "Ark Az Del Ill La Mass Miss Ore Pa Tex Wash"
"""Abbreviations that are other words when written in small letters."""
_BEFORE_NUMBERS = "art ca fig figs no nos op pp prop"
"""Abbreviations only where a number follows."""
_SENTENCE_STARTS = (
    "A About According Additionally After An As At But Earlier He Her Here However If In It Last Many More Now Once One "
    "Other Our She Since So Some Such That The Their Then There These They This We What When While Yet You"
)
"""Words before which the period of an initial ends a sentence."""


def _any_case(words: str) -> str:
    """Return a pattern of words in any case."""
    return f"(?i:{words.replace(' ', '|')})"


def _capitalised(words: str) -> str:
    """Return a pattern of words whose first letter is as written and whose other letters are in any case."""
    return "|".join(f"{word[0]}(?i:{word[1:]})" for word in words.split())


_MARK = "[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u064b-\u065e\u0900-\u0903\u093c-\u094d\u0e31-\u0e3a\u0e47-\u0e4e]"
_NO_LETTER = "²³¹¼-¾⁰-₉⅐-↋①-⒛⓪-⓿❶-➓\U00010000-\U0010ffff"
_L = rf"(?:[^\W\d_{_NO_LETTER}]|{_MARK}|&[aeiouAEIOU](?:acute|grave|uml);)"
_D = r"[^\W\D\U00010000-\U0010ffff]"
_W = rf"(?:{_L}|{_D})"
_A = "['’\x92]"
_AND = "&(?:amp;)?"
_HYPHEN = "[-‐‑]"
_WORD = rf"{_L}{_W}*(?:[.!?]{_L}{_W}*)*"
_CLITIC = r"(?:'(?i:[smd]|re|ve|ll)(?![A-Za-z])|[’\x92](?i:[smd]|re|ve|ll))"
_HYPHENATED = rf"(?:[dDoOlL]['’`]{_W})?{_W}+(?:{_HYPHEN}(?:[dDoOlL]['’`]{_W})?{_W}+)*"
_SLASHED = "[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*"
_URL_END = r"[^\s\"<>|.!?(){},-]"
_PATH = rf"(?:/[^\s\"<>|()]+{_URL_END})?"
_TAG_NAME = "[A-Za-z_][A-Za-z0-9_:.-]*"
_FACE = "[-^x=~<>']"

_RULES = [
    re.compile(rule)
    for rule in (
        # Contractions. Where a rule has a group, that is the token; what follows it counts only for the length.
        r"([A-Za-z]*[A-MO-Za-mo-z])[nN]['’`‘\x92][tT]",  # do n't
        r"[nN]['’`‘\x92][tT]",
        rf"({_WORD}){_CLITIC}",  # dog 's
        _CLITIC,
        r"('[tT])(?i:is|was)",  # 't is
        rf"([yY]{_A}){_L}+",  # y' all
        # What an apostrophe joins.
        rf"{_A}n{_A}|'[nN](?!\S)|[’\x92][nN]",  # rock 'n' roll
        rf"[lLdDjJ]{_A}|(?i:dunkin|somethin|ol){_A}|{_A}(?i:em|till?|cause)|{_A}[2-9]0[sS]",
        rf"{_L}{{2,}}(?<=[aeiouyAEIOUY])['’`\x92][aeiouA-Z]{_L}*",  # ma'am
        rf"[A-HJ-XZn]{_A}{_L}{{2}}{_L}*",  # n'djamena
        r"(?i:c'est|c'mon|cont'd|e'er|ev'ry|li'l|nat'l|nor'easter|o'o|s'mores)",
        rf"({_A}{_D}{{2}})(?:\s|$)",  # '08
        # Words.
        _WORD,
        _HYPHENATED,  # t-shirt 10am o'clock
        rf"{_W}+(?:_{_W}+)+(?:-{_W}+)*",
        rf"{_SLASHED}(?:/{_SLASHED}){{1,2}}",  # and/or
        rf"{_W}(?:{_W}|[.,])*+(?:{_HYPHEN}(?:[A-Za-z](?:\.[A-Za-z])+\.|{_W}+))+",  # 3.5-inch
        rf"[A-Z]+(?:{_AND}[A-Z]+)+",  # at&t
        r"[cC]\+\+|[cCfF]\#",
        # Words that keep a period.
        r"[A-Za-z](?:\.[A-Za-z])+\.",  # u.s.
        rf"[A-Za-z]\.(?!\s+(?:{_capitalised(_SENTENCE_STARTS)})(?!\S))",  # j. smith
        rf"(?:[Pp]h\.D|{_any_case(_ABBREVIATIONS)}|{_capitalised(_ABBREVIATED_NAMES)})\.",
        rf"({_any_case(_BEFORE_NUMBERS)}\.)\s?{_D}",  # no. 5
        rf"((?:{_WORD}|{_HYPHENATED})\.)[,;:]",
        # Numbers.
        rf"[-+]?{_D}*(?:[.:,]{_D}+)+|[-+]?{_D}+",
        rf"{_D}{{1,2}}[-/]{_D}{{1,2}}[-/]{_D}{{2,4}}",
        rf"(?:{_D}{{1,4}}[- \xa0])?{_D}{{1,4}}[/⁄]{_D}{{1,4}}",
        r"[⁺⁻₊₋]?[²³¹⁰-⁹₀-₉]+",
        r"\([0-9]{2,3}\)[ \xa0]?[0-9]{3,4}[- \xa0]?[0-9]{3,5}",
        r"(?:\+\+?)?(?:[0-9]{2,4}[- \xa0])?[0-9]{2,4}[- \xa0][0-9]{3,4}[- \xa0]?[0-9]{3,5}",
        r"[A-Z]+\$",
        # The web.
        rf"(?i:https?)://[^\s\"<>|()]+{_URL_END}",
        rf"www\.(?:[^\s\"<>|.!?(){{}},]+\.)+[A-Za-z]{{2,4}}{_PATH}",
        rf"[A-Za-z0-9][^\s\"`'<>|.:;!?(){{}},\-_$]*\.(?:[^\s\"`'<>|.:;!?(){{}},\-_$]+\.)*(?:com|net|org|edu){_PATH}",
        r"<?[a-zA-Z0-9][^\s\"<>|()\xa0{}]*@(?:[^\s\"<>|(){}.\xa0]+\.)*[^\s\"<>|(){}.\xa0]+>?",
        rf"@[A-Za-z_][A-Za-z0-9_]*|\#{_L}+",
        rf"<[!?]?{_TAG_NAME}(?:\s+[A-Za-z][A-Za-z0-9_:.-]*(?:=(?:\"[^\"]*\"|'[^']*'))?)*\s*[/?]?>|</{_TAG_NAME}\s*>|<!--.*?>",
        r"&(?:amp|lt|gt|quot|nbsp|[mn]dash|\#[0-9]+);",
        r"[<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]](?![A-Za-z0-9])|:3(?!\w)",  # :-)
        rf"{_FACE}_{_FACE}|\({_FACE}[_.]?{_FACE}\)|\([\^x=~<>']-[\^x=~<>'`]\)",  # ^_^
        # Punctuation and symbols.
        r"(?i:-[lr][rcs]b-)",
        r"\.{3,}|[?!]+|\*+|_+|--+|\#\#+|@@+|<<|>>|''|``",
        r"[!-/:-@\[-^`{-~¡-¿×÷⅓-⅞–-‣…‰-※‾-⁂⁄₠₤€℀-⅏←-⯿、。〒・！-／：-＠［-｀｛-･￠￡￥￦‐‑]",
    )
]
_WRITTEN = {
    **{word: f"{word[:3]} {word[3:]}" for word in ("cannot", "gimme", "gonna", "gotta", "lemme", "wanna")},
    **{f"{apostrophe}{end}": f"'{end}" for apostrophe in "’\x92" for end in ("s", "m", "d", "re", "ve", "ll")},
    **{"n’t": "n't", "n\x92t": "n't", "n‘t": "n`t"},
    **{"[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-", "&lt;": "<", "&gt;": ">"},
    **{"£": "#", "€": "$", "¤": "$", "₠": "$", "¢": "cents", "¼": "1/4", "½": "1/2", "¾": "3/4", "⅓": "1/3", "⅔": "2/3"},
    **dict.fromkeys(_DROPPED, ""),
}
"""The tokens that are written differently from the text, and how."""

_PLAIN = re.compile(r"\s*+(?:[A-Za-z]++(?:-[A-Za-z]++)*+,?(?:\s++|$)|,\s++)*+")
"""A run of plain words, in which no other rules than those for words can match, so that no rule has to be tried."""

_SENTENCE = re.compile(rf"{_PLAIN.pattern}(?:[A-Za-z]{{2,}}\.$|\.$)?")
"""The same with a last period that does not belong to an abbreviation: most captions from end to end."""

_WITH_PERIOD = frozenset([*_ABBREVIATIONS.split(), *_ABBREVIATED_NAMES.lower().split()])


def tokenize(caption: str) -> list[str]:
    """Split a caption into the tokens that the scores count."""
    text = " ".join(caption.splitlines()).replace("\xad", "").replace("&apos;", "'").rstrip()
    sentence, plain = text, _PLAIN
    if text.endswith("."):
        last = text[:-1].rsplit(None, 1)[-1:]
        if not last or (len(last[0]) > 1 and last[0].isalpha() and last[0].lower() not in _WITH_PERIOD):
            sentence, plain = text[:-1], _SENTENCE
    sentence = sentence.replace(", ", " ")
    # Splitting at spaces is enough, and fastest, where there is nothing but words.
    only_words = sentence.isascii() and sentence.replace(" ", "").isalpha()
    tokens = sentence.lower().split() if only_words else _tokens(text, plain)
    if _WRITTEN.keys().isdisjoint(tokens):
        return tokens
    return [word for token in tokens for word in (_WRITTEN[token].split() if token in _WRITTEN else [token])]


@dataclass(frozen=True)
class Tokenizer:
    """A rule by which captions are split into the tokens that scores count. Scores by different rules cannot be compared.

    Attributes:
        name: What tables, JSON and reports call it.
        split: Returns the tokens of a caption.
        language: The tag of the language that it is for.
    """

    name: str
    split: Callable[[str], list[str]]
    language: str = ENGLISH


COCO_CAPTION = Tokenizer("coco-caption", tokenize)
"""The rule of published scores, which is for English."""


def _tokens(text: str, plain: re.Pattern[str]) -> list[str]:
    """Split by the rules, and by the pattern of plain words where that matches."""
    tokens: list[str] = []
    position = 0
    while position < len(text):
        words = plain.match(text, position)
        if words and words[0]:
            tokens += words[0].lower().replace(",", " ").replace(".", " ").split()
            position = words.end()
        else:
            position, token = _next(text, position)
            tokens += token
    return tokens


def _next(text: str, position: int) -> tuple[int, list[str]]:
    """Return where the token at a position ends, and the token. No rule matches a space, where there is no token."""
    found = [match for rule in _RULES if (match := rule.match(text, position))]
    if not found:
        return position + 1, []
    match = max(found, key=lambda match: match.end())
    token = match.re.groups
    written = match[token].lower().replace("&amp;", "&").replace(" ", "\xa0").replace("(", "-lrb-").replace(")", "-rrb-")
    return match.end(token), [written]
