"""Names said through slots: the table of ImageNet's classes, what class scores allow, slots put in and filled."""

import csv
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples

from capgen.captioner.slots import CLASSES, TABLE, VisualWord, VisualWords, slot, with_class_token
from capgen.captioner.vocabulary import words

MIN_CLASS_PROBABILITY = 0.15
IMAGENET = VisualWords.imagenet()
BY_NAME = {name.singular: name for name in IMAGENET.names}
ZOO = VisualWords(
    [
        VisualWord("elephant", "elephants", "animal", "count", (3, 4)),
        VisualWord("giraffe", "giraffes", "animal", "count", (5,)),
        VisualWord("sheep", "sheep", "animal", "count", (6,)),
        VisualWord("engine", "engines", "vehicle", "count", (7,)),
        VisualWord("fire engine", "fire engines", "vehicle", "count", (8,)),
        VisualWord("umbrella", "umbrellas", "thing", "count", (9,)),
        VisualWord("unicycle", "unicycles", "thing", "count", (10,)),
        VisualWord("hourglass", "hourglasses", "thing", "count", (11,)),
        VisualWord("bread", "bread", "food", "mass", (12,)),
        VisualWord("banana", "bananas", "food", "count", (13,)),
        VisualWord("jeans", "jeans", "clothing", "pair", (14,)),
        VisualWord("hat", "hats", "clothing", "count", (15,)),
        VisualWord("cup of coffee", "cups of coffee", "food", "count", (16,)),
    ]
)
ZOO_NAMES = {name.singular: name for name in ZOO.names}


def sure_of(names, *wanted):
    """What a classifier says that gives each of the wanted names the same high probability."""
    probabilities = np.zeros(CLASSES)
    for name in wanted:
        probabilities[name.classes[0]] = 1 / len(wanted)
    return names.class_scores(probabilities)


def zoo(*wanted):
    return sure_of(ZOO, *(ZOO_NAMES[name] for name in wanted))


def delexicalise(caption, *shown):
    return " ".join(ZOO.delexicalise(caption.split(), zoo(*shown), MIN_CLASS_PROBABILITY))


def relexicalise(caption, *shown):
    return " ".join(ZOO.relexicalise(caption.split(), zoo(*shown)))


# The table


def test_the_table_has_each_of_imagenets_classes_in_order():
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [int(row["class"]) for row in rows] == list(range(CLASSES))
    assert all(value and value == value.strip() for row in rows for value in row.values())
    landmarks = {1: "goldfish", 386: "elephant", 340: "zebra", 934: "hot dog", 555: "fire truck"}
    assert {index: rows[index]["name"] for index in landmarks} == landmarks


def test_each_name_of_the_table_has_one_plural_group_and_kind():
    ways = defaultdict(set)
    for name in IMAGENET.names:
        ways[name.singular].add((name.plural, name.group, name.kind))
    assert {name: found for name, found in ways.items() if len(found) > 1} == {}
    assert {name.kind for name in IMAGENET.names} == {"count", "mass", "pair"}


def test_no_words_are_two_names_of_the_table():
    forms = Counter(form for name in IMAGENET.names for form in {name.singular, name.plural})
    assert [form for form, count in forms.items() if count > 1] == []


def test_names_of_the_table_are_words_as_captions_have_them():
    for name in IMAGENET.names:
        for form in (name.singular, name.plural):
            assert " ".join(words(form)) == form


def test_what_is_not_counted_has_one_form():
    assert [name for name in IMAGENET.names if name.kind != "count" and name.singular != name.plural] == []


def test_every_group_has_two_slots_of_its_own():
    assert len(set(IMAGENET.slots)) == len(IMAGENET.slots) == 2 * len(IMAGENET.groups)
    assert all(found.startswith("<") and found.endswith(">") for found in IMAGENET.slots)


def test_the_table_is_part_of_the_package():
    import tomllib

    from support.paths import ROOT

    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["capgen"]
    held = {path.relative_to(ROOT / "capgen") for pattern in package for path in (ROOT / "capgen").glob(pattern)}
    assert TABLE.relative_to(TABLE.parents[2]) in held


# Class scores


def plain_class_scores(names, probabilities):
    """By group: the likeliest name, its probability and that of the whole group, summed class by class."""
    found = {}
    for group in sorted({name.group for name in names}):
        sums = {name: sum(probabilities[index] for index in name.classes) for name in names if name.group == group}
        best = max(sums, key=sums.__getitem__)
        found[group] = (best, sums[best], sum(sums.values()))
    return found


@settings(max_examples=examples(50), deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.001, 0.02, 1.0]), st.booleans())
def test_class_scores_have_the_likeliest_name_of_each_group(seed, evenness, rare_only):
    names = VisualWords(IMAGENET.names[::7]) if rare_only else IMAGENET
    probabilities = np.random.default_rng(seed).dirichlet(np.full(CLASSES, evenness))
    class_scores, plain = names.class_scores(probabilities), plain_class_scores(names.names, probabilities)
    assert class_scores.best == {group: best for group, (best, _, _) in plain.items()}
    assert class_scores.probabilities.dtype == np.float32
    np.testing.assert_allclose(class_scores.probabilities, [sums for _, *sums in plain.values()], rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(class_scores.token(), [*class_scores.probabilities.reshape(-1), 1.0])
    assert len(class_scores.token()) == names.token_width


def test_half_precision_is_summed_without_losing_more():
    probabilities = np.full(CLASSES, 1e-3, np.float16)
    class_scores = VisualWords([VisualWord("thing", "things", "thing", "count", tuple(range(CLASSES)))]).class_scores(
        probabilities
    )
    assert class_scores.probabilities.tolist() == [[pytest.approx(CLASSES * float(np.float16(1e-3)), rel=1e-6)] * 2]


def test_no_visual_words_have_no_scores():
    class_scores = VisualWords([]).class_scores(np.full(CLASSES, 1e-3))
    assert (class_scores.best, class_scores.token().tolist()) == ({}, [1.0])


@pytest.mark.parametrize(("more", "may"), [(-1e-3, False), (0.0, True), (0.5, True)])
def test_a_slot_may_be_said_from_a_probability_on(more, may):
    probabilities = np.zeros(CLASSES)
    probabilities[3], probabilities[4], probabilities[5] = 0.06, MIN_CLASS_PROBABILITY - 0.06 + more, 0.05
    assert ZOO.fillable(ZOO.class_scores(probabilities), MIN_CLASS_PROBABILITY) == (
        {"animal": ZOO_NAMES["elephant"]} if may else {}
    )


@pytest.mark.parametrize(
    ("suppressed", "groups"),
    [
        ([], {"vehicle", "animal"}),
        (["fire"], {"animal"}),
        (["engines"], {"animal"}),
        (["giraffe"], {"vehicle"}),
        (["eleph"], {"vehicle", "animal"}),
    ],
)
def test_a_slot_whose_name_has_a_suppressed_word_may_not_be_said(suppressed, groups):
    assert set(ZOO.fillable(zoo("fire engine", "giraffe"), MIN_CLASS_PROBABILITY, suppressed)) == groups


# Slots put in


@pytest.mark.parametrize(
    ("shown", "caption", "expected"),
    [
        ("elephant", "an elephant in a field", "a <animal> in a field"),
        ("elephant", "two elephants and an elephant", "two <animals> and a <animal>"),
        ("elephant", "an elephant and a giraffe", "a <animal> and a giraffe"),
        ("giraffe", "an elephant and a giraffe", "an elephant and a <animal>"),
        ("fire engine", "a red fire engine", "a red <vehicle>"),
        ("fire engine", "an engine", "an engine"),
        ("engine", "a fire engine", "a fire engine"),
        ("bread", "bread on an old plate", "<foods> on an old plate"),
        ("jeans", "a man in jeans", "a man in <clothings>"),
        ("umbrella", "an umbrella", "a <thing>"),
        ("elephant", "elephant", "<animal>"),
        ("elephant", "", ""),
        ("elephant", "an elephantine building", "an elephantine building"),
    ],
)
def test_names_that_the_classifier_agrees_with_become_slots(shown, caption, expected):
    assert delexicalise(caption, shown) == expected


def test_a_name_of_which_the_classifier_is_uncertain_stays_a_word():
    probabilities = np.zeros(CLASSES)
    probabilities[3] = MIN_CLASS_PROBABILITY - 0.01
    assert ZOO.delexicalise(["an", "elephant"], ZOO.class_scores(probabilities), MIN_CLASS_PROBABILITY) == ["an", "elephant"]


# Slots filled


@pytest.mark.parametrize(
    ("shown", "caption", "expected"),
    [
        ("elephant", "a <animal> in a field", "an elephant in a field"),
        ("giraffe", "a <animal> in a field", "a giraffe in a field"),
        ("giraffe", "an <animal>", "a giraffe"),
        ("giraffe", "two <animals>", "two giraffes"),
        ("sheep", "two <animals> and a <animal>", "two sheep and a sheep"),
        ("giraffe", "a <animals>", "a giraffe"),  # learnt from "a sheep"
        ("fire engine", "the <vehicle> and <vehicles>", "the fire engine and fire engines"),
        ("umbrella", "a <thing>", "an umbrella"),
        ("unicycle", "a <thing>", "a unicycle"),
        ("hourglass", "a <thing>", "an hourglass"),
        ("bread", "a <food> on a plate", "bread on a plate"),
        ("banana", "a <food> on a plate", "a banana on a plate"),
        ("bread", "some <foods>", "some bread"),
        ("jeans", "a man in a <clothing>", "a man in jeans"),
        ("hat", "a man in <clothings>", "a man in hats"),
        ("hat", "a big <clothing>", "a big hat"),
        ("cup of coffee", "a <food> on a table", "a cup of coffee on a table"),
        ("cup of coffee", "a mug of <foods>", "a mug of coffee"),
        ("cup of coffee", "a picture of a <food>", "a picture of a cup of coffee"),
        ("elephant", "a <domain room> and an ox", "a <domain room> and an ox"),
    ],
)
def test_a_slot_is_filled_with_the_name_and_its_article(shown, caption, expected):
    assert relexicalise(caption, shown) == expected


PLAIN_WORDS = st.sampled_from(["dog", "in", "the", "two", "red", "runs", "fire", "of"])


@st.composite
def captions(draw):
    """A caption with names of the table in it, each with an article that fits, and one name a group shown of them."""
    shown, said = {}, []
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            said.append(draw(PLAIN_WORDS))
            continue
        name = draw(st.sampled_from(IMAGENET.names))
        if draw(st.booleans()):
            shown.setdefault(name.group, name)
        if name.kind == "count" and draw(st.booleans()):
            if draw(st.booleans()):
                said.append(" ".join(IMAGENET.relexicalise(["a", slot(name.group, plural=False)], sure_of(IMAGENET, name))))
            else:
                said.append(f"the {name.singular}")
        else:
            said.append(f"many {name.plural}")
    return " ".join(said).split(), list(shown.values())


def occurrences(names, said):
    """Every name, in its order, with the longest that fits; names inside names are passed over."""
    forms = {tuple(form.split()): name for name in names for form in (name.singular, name.plural)}
    position = 0
    while position < len(said):
        fitting = [form for form in forms if tuple(said[position : position + len(form)]) == form]
        if fitting:
            longest = max(fitting, key=len)
            yield forms[longest]
            position += len(longest)
        else:
            position += 1


@settings(max_examples=examples(200), deadline=None)
@given(captions())
def test_what_is_delexicalised_and_relexicalised_is_as_before(made):
    said, shown = made
    class_scores = sure_of(IMAGENET, *shown) if shown else IMAGENET.class_scores(np.zeros(CLASSES))
    with_slots = IMAGENET.delexicalise(said, class_scores, MIN_CLASS_PROBABILITY)
    assert IMAGENET.relexicalise(with_slots, class_scores) == said
    sure = {name for name in shown if name.group in IMAGENET.fillable(class_scores, MIN_CLASS_PROBABILITY)}
    due = [name.group for name in occurrences(IMAGENET.names, said) if name in sure]
    found = [word[1:-1] for word in with_slots if word.startswith("<")]
    assert [group in (word, word.removesuffix("s")) for word, group in zip(found, due, strict=True)] == [True] * len(due)


@settings(deadline=None)
@given(st.lists(PLAIN_WORDS | st.sampled_from(["a", "an"])), st.integers(0, 2**32 - 1))
def test_captions_without_names_stay_as_they_are(said, seed):
    class_scores = ZOO.class_scores(np.random.default_rng(seed).dirichlet(np.full(CLASSES, 0.01)))
    assert ZOO.delexicalise(said, class_scores, MIN_CLASS_PROBABILITY) == said
    assert ZOO.relexicalise(said, class_scores) == said


# Which names, and how they are kept


def test_names_that_captions_say_less_often_are_kept():
    captions = ["An elephant.", "Elephants and a fire engine!", "a giraffe", "Bread, bread, bread"]
    kept = {
        count: [name.singular for name in ZOO.rarer_than(count, captions).names if name.singular in "elephant giraffe bread"]
        for count in (1, 2, 3, 4)
    }
    assert kept == {1: [], 2: ["giraffe"], 3: ["elephant", "giraffe"], 4: ["elephant", "giraffe", "bread"]}
    rarely_said = ZOO.rarer_than(1, captions)
    assert ZOO_NAMES["engine"] in rarely_said.names, "a fire engine is no engine"
    assert ZOO_NAMES["fire engine"] not in rarely_said.names
    assert "animal" in rarely_said.groups
    assert ZOO.rarer_than(1, ["an elephant, a giraffe, some sheep"]).groups == ("clothing", "food", "thing", "vehicle")


def test_names_survive_json():
    import json

    again = VisualWords.from_plain(json.loads(json.dumps(ZOO.plain())))
    assert again.names == ZOO.names
    assert again.slots == ZOO.slots


GOOD = {"singular": "cat", "plural": "cats", "group": "animal", "kind": "count", "classes": [1, 2]}


@pytest.mark.parametrize(
    "values",
    [
        [{**GOOD, "classes": [1000]}],
        [{**GOOD, "classes": [-1]}],
        [{**GOOD, "classes": ["one"]}],
        [{**GOOD, "classes": None}],
        [{**GOOD, "more": 1}],
        [{key: value for key, value in GOOD.items() if key != "classes"}],
        [{key: value for key, value in GOOD.items() if key != "plural"}],
        ["cat"],
        [None],
        5,
    ],
)
def test_what_are_no_names_is_refused(values):
    assert VisualWords.from_plain([GOOD]).names[0].classes == (1, 2)
    with pytest.raises((TypeError, KeyError, ValueError)):
        VisualWords.from_plain(values)


def test_a_class_probability_token_stands_beside_the_grid_in_channels_of_its_own():
    grid, token = np.arange(1, 7, dtype=np.float16).reshape(2, 3), np.array([0.5, 0.25], np.float32)
    assert with_class_token(grid, token).tolist() == [[1, 2, 3, 0, 0], [4, 5, 6, 0, 0], [0, 0, 0, 0.5, 0.25]]
    assert with_class_token(grid, token).dtype == np.float16


@pytest.mark.parametrize("field", ["singular", "plural", "group", "kind"])
@pytest.mark.parametrize("value", [5, None, "\x1b[31m"])
def test_names_that_are_no_printable_text_are_refused(field, value):
    plain = VisualWords.imagenet().plain()[:1]
    with pytest.raises((TypeError, ValueError, AttributeError)):
        VisualWords.from_plain([{**plain[0], field: value}])


def test_the_article_goes_by_the_sound():
    from capgen.captioner.vocabulary import article

    assert [article(name) for name in ("apple", "unicycle", "umbrella", "hourglass", "horse", "Orange")] == [
        "an", "a", "an", "an", "a", "an",
    ]  # fmt: skip
