"""What every metric does alike; a metric that is added to the registry runs through the same tests."""

import dataclasses
import random

import numpy as np
import pytest
from support.drawing import COLOURS, SHAPES, draw
from support.tools import require_tool

from capgen.captioner.bundle_schema1 import OLD_SCORE_NAMES
from capgen.errors import UnknownNameError
from capgen.evaluation import metrics
from capgen.evaluation.evaluate import Evaluation
from capgen.evaluation.metrics import METRICS, Candidates, Need, PerImageMetric, References, UnavailableError, tokenize

COUNT = 24

NAMES = [pytest.param(name, marks=pytest.mark.java if Need.JAVA in METRICS[name].needs else ()) for name in METRICS]
"""All metrics; those that start Java are marked so."""


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def metric(name):
    return METRICS[name]


def known(number):
    """The colour and the shape of a drawn image, and three human captions."""
    colour, shape = list(COLOURS)[number % 4], SHAPES[number % 3]
    return (colour, shape), [
        f"A {colour} {shape} lies on a pale ground, {number} steps from here.",
        f"There is a {colour} {shape}.",
        f"{number} steps away somebody has drawn a {shape} that is {colour}",
    ]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number in range(COUNT):
        (colour, shape), _ = known(number)
        draw(folder / f"{number}.png", colour, shape, number)
    return [folder / f"{number}.png" for number in range(COUNT)]


def candidates(texts, numbers, images):
    """Captions of the drawn images of these numbers, with all that any metric needs."""
    human = [[tokenize(text) for text in known(number)[1]] for number in numbers]
    return Candidates(
        texts=texts,
        tokens=[tokenize(text) for text in texts],
        references=References(human),
        images=[images[number] for number in numbers],
        training_captions=frozenset({tuple(human[0][0]), ("a", "dog")}),
        log_probabilities=[-1.5 - len(text) / 10 for text in texts],
    )


@pytest.fixture(scope="module")
def perfect(images):
    """For each image one of its human captions."""
    return candidates([known(number)[1][number % 3] for number in range(COUNT)], range(COUNT), images)


@pytest.fixture(scope="module")
def shuffled(images, perfect):
    """The same captions, each for another image."""
    texts = list(perfect.texts)
    random.Random(0).shuffle(texts)
    return candidates(texts, range(COUNT), images)


@pytest.fixture(scope="module")
def mixed(images, perfect, shuffled):
    """Some captions of their images, some of others, and an empty one."""
    texts = [*perfect.texts[:8], *shuffled.texts[8:20], "", *perfect.texts[21:]]
    return candidates(texts, range(COUNT), images)


@pytest.fixture(scope="module")
def found(metric, images, perfect, shuffled, mixed):
    """The scores of all systems, computed in one call, which starts Java once."""
    if Need.JAVA in metric.needs:
        require_tool("java")
    turned = candidates(mixed.texts[::-1], range(COUNT)[::-1], images)
    systems = {
        "perfect": perfect,
        "shuffled": shuffled,
        "mixed": mixed,
        "mixed, the last image first": dataclasses.replace(turned, training_captions=mixed.training_captions),
        "one image": candidates(known(0)[1][:1], [0], images),
        "one empty caption": candidates([""], [0], images),
    }
    try:
        return dict(zip(systems, metric.compute(list(systems.values())), strict=True))
    except UnavailableError as error:
        pytest.skip(f"{metric.name}: {error}")


def test_it_is_registered_under_its_own_name(name, metric):
    assert metric.name == name
    assert metric.needs <= set(Need)


def test_a_name_that_is_not_registered_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean CIDEr"):
        METRICS["CIDER"]


def test_its_values_are_numbers_within_its_range_and_have_a_text(metric, found):
    low, high = metric.range
    for score in found.values():
        assert isinstance(score.value, int | float)
        assert low <= score.value <= high + 1e-9
        assert len(score.per_image) in {1, COUNT}
        assert float(metric.text(score.value).replace(",", "")) == pytest.approx(score.value, abs=1e-3)


def test_captions_of_their_own_images_score_at_least_as_well_as_captions_of_others(metric, found):
    if metric.is_quality:
        assert found["perfect"].value >= found["mixed"].value >= found["shuffled"].value


def test_the_order_of_the_images_does_not_matter(found):
    assert found["mixed, the last image first"].value == pytest.approx(found["mixed"].value)


def test_the_score_is_the_aggregate_of_the_values_of_the_images(metric, mixed, found):
    if isinstance(metric, PerImageMetric):
        per_image = metric.per_image(mixed)
        assert metric.aggregate(per_image, np.ones((1, COUNT))).tolist() == [found["mixed"].value]
        samples = metric.aggregate(per_image, np.ones((3, COUNT)))
        assert samples == pytest.approx(np.full(3, found["mixed"].value))


def test_a_sample_of_some_images_is_the_score_of_these_images(metric, mixed):
    if not isinstance(metric, PerImageMetric) or metric.is_corpus_dependent:
        pytest.skip("its values of an image depend on the other images, or it has none")
    few = dataclasses.replace(
        mixed,
        texts=mixed.texts[:9],
        tokens=mixed.tokens[:9],
        references=References(mixed.references.captions[:9]),
        images=mixed.images[:9],
        log_probabilities=mixed.log_probabilities[:9],
    )
    weights = (np.arange(COUNT) < len(few)).astype(float)[None]
    assert metric.aggregate(metric.per_image(mixed), weights)[0] == pytest.approx(metric.compute([few])[0].value)


def test_one_image_is_enough_and_its_caption_may_be_empty(metric, found):
    assert len(found["one image"].per_image) == len(found["one empty caption"].per_image) == 1
    if metric.is_quality:
        assert found["one image"].value >= found["one empty caption"].value
    if metric.is_quality and Need.REFERENCES in metric.needs:
        assert found["one empty caption"].value == pytest.approx(metric.range[0], abs=1e-3)


def test_a_score_that_one_image_does_not_define_has_a_reason_and_no_number(metric, images):
    if Need.JAVA in metric.needs:
        pytest.skip("its program is started once, for all other tests")
    one = candidates(known(0)[1][:1], [0], images)
    (scores,), unavailable = metrics.compute([one], [metric])
    assert [*scores, *unavailable] == [metric.name]
    assert bool(unavailable) == bool(metric.why_undefined(one)) == (metric.name in {"CIDEr", "CIDEr-D"})


def test_its_interval_contains_the_score(metric, mixed, found):
    evaluation = Evaluation("mixed", {metric.name: found["mixed"]}, len(mixed), 0, {})
    assert list(evaluation.intervals) == ([metric.name] if metric.bootstrapped else [])
    for low, high in evaluation.intervals.values():
        assert low <= found["mixed"].value <= high
        assert low < high


def test_it_is_left_out_where_what_it_needs_is_unknown(metric, mixed):
    unknown = dataclasses.replace(mixed, images=[None] * COUNT, training_captions=frozenset(), log_probabilities=())
    if Need.IMAGES in metric.needs:
        assert list(metrics.compute([unknown], [metric])[1]) == [metric.name]
    elif metric.needs & {Need.TRAINING_CAPTIONS, Need.LOG_PROBABILITIES}:
        assert metrics.compute([unknown], [metric]) == ([{}], {})


class FileSize(PerImageMetric):
    """A metric over images, of which none ships."""

    name = "file size"
    needs = frozenset({Need.IMAGES})

    def per_image(self, candidates):
        return np.array([float(path.stat().st_size) for path in candidates.images])


def test_a_metric_over_images_says_how_many_of_them_were_not_found(mixed):
    (scores,), unavailable = metrics.compute([mixed], [FileSize()])
    assert list(scores) == ["file size"]
    assert not unavailable
    some = dataclasses.replace(mixed, images=[None, None, *mixed.images[2:]])
    assert metrics.compute([some], [FileSize()]) == ([{}], {"file size": f"the files of 2 of {COUNT} images were not found"})


def test_the_names_of_earlier_versions_are_names_of_today():
    assert set(OLD_SCORE_NAMES.values()) <= set(METRICS)
    assert not set(OLD_SCORE_NAMES) & set(METRICS)
