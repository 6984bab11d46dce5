"""Settings that follow from the amount of data: in steps, so that few images are seen often and many are not."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.captioner.decoding import DecodingOptions
from capgen.datasets.prepared import PreparedImage
from capgen.training.config import TrainingConfig
from capgen.training.data_defaults import MAX_EPOCHS, MIN_EPOCHS, defaults_for
from capgen.training.data_statistics import DataStatistics
from capgen.training.recipe_files import recipe_names
from capgen.training.settings import config_from_mapping, load_settings

FLICKR8K = DataStatistics(6000, Counter({"common": 320_000, "rare": 8_600}), Counter({12: 29_000, 20: 600, 30: 400}))
"""As many images and captions, a like share of rare words, and as many long captions as there are in Flickr8k."""

BY_DATA = frozenset(defaults_for(FLICKR8K, {}))


def of(images, **more):
    return DataStatistics(images, more.get("words", Counter({"a": 100})), more.get("lengths", Counter({8: 100})))


def config_of(data, *settings, **more):
    return load_settings(settings=settings).for_data(data, **more)


def test_flickr8k_gets_the_defaults():
    assert load_settings().for_data(FLICKR8K) == TrainingConfig()


@pytest.mark.parametrize(
    ("images", "batch_size", "epochs"), [(1, 4, 60), (10, 4, 60), (240, 8, 22), (6000, 64, 7), (10**6, 64, 7)]
)
def test_few_images_are_seen_often_in_small_batches(images, batch_size, epochs):
    found = config_of(of(images))
    assert (found.batch_size, found.epochs) == (batch_size, epochs)


def test_warm_up_and_patience_follow_the_epochs_also_where_these_are_given():
    found = config_of(of(12), "epochs=50", "batch_size=4")
    assert (found.warmup_steps, found.patience) == (25, 21)
    found = config_of(FLICKR8K, "epochs=100")
    assert (found.warmup_steps, found.patience) == (100, 43)


def test_a_word_is_learnt_from_fewer_captions_where_too_few_words_would_be_known():
    assert config_of(of(9, words=Counter({"a": 90, "b": 4, "c": 6}))).min_count == 5
    assert config_of(of(9, words=Counter({"a": 80, "b": 4, "c": 4, "d": 4, "e": 4, "f": 4}))).min_count == 4
    assert config_of(of(9, words=Counter("abcdefghijk"))).min_count == 1
    assert config_of(of(9, words=Counter())).min_count == 5


def test_captions_are_as_long_as_nearly_all_of_the_captions_that_there_are():
    assert config_of(of(9, lengths=Counter({30: 98, 400: 2}))).max_words == 30
    assert config_of(of(9, lengths=Counter({30: 97, 40: 3}))).max_words == 40
    assert config_of(of(9, lengths=Counter({400: 3}))).max_words == 100
    assert config_of(of(9, lengths=Counter({0: 3}))).max_words == 1


def test_a_captioner_that_is_continued_trains_for_less_and_may_say_as_much_as_before():
    found = config_of(of(240), warm_start=DecodingOptions(max_words=20))
    assert found.max_words == 20
    assert found.epochs < config_of(of(240)).epochs


def test_a_captioner_that_is_continued_searches_as_before_unless_it_is_set():
    options = DecodingOptions(num_beams=3, length_penalty=0.75, guidance=1.18, common_caption_penalty=0.07)
    found = config_of(of(240), "guidance=1.1", warm_start=options)
    assert (found.num_beams, found.length_penalty, found.common_caption_penalty) == (3, 0.75, 0.07)
    assert found.guidance == 1.1


@pytest.mark.parametrize(("settings", "said"), [((), 30), (("max_words=16",), 20), (("generation_max_words=9",), 9)])
def test_a_captioner_says_as_much_as_captions_are_cut_to_and_no_less_than_the_one_that_is_continued(settings, said):
    data = of(9, lengths=Counter({30: 1}))
    assert config_of(data, *settings, warm_start=DecodingOptions(max_words=20)).generation_max_words == said
    assert config_of(data, "max_words=16").generation_max_words == 16


@pytest.mark.parametrize("recipe", ["classic", "flickr8k", "photo-en-v1"])
def test_the_recipes_of_figures_cut_captions_at_16_words_and_say_20_as_runs_of_before_do(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = load_settings(Path(recipe)).for_data(of(1))
    assert (found.max_words, found.generation_max_words) == (16, 20)
    assert config_from_mapping({"maximum_words": 16}).generation_max_words == 20


def test_what_is_given_is_kept_whatever_the_data():
    settings = [f"{name}=3" for name in BY_DATA]
    assert config_of(of(1), *settings) == config_of(FLICKR8K, *settings)


@pytest.mark.parametrize("recipe", sorted(set(recipe_names()) - {"continue"}))
def test_the_recipes_of_figures_leave_nothing_to_the_data(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chosen = load_settings(Path(recipe))
    assert chosen.given.keys() >= BY_DATA
    assert chosen.for_data(of(1)) == chosen.with_defaults()


@given(st.floats(0, 1e7), st.integers(1, 512), st.integers(0, 1000))
def test_any_amount_of_data_gives_a_config(images, batch_size, epochs):
    found = config_of(of(images), f"batch_size={batch_size}", f"epochs={epochs}", "encoder_epochs=1")
    assert (found.batch_size, found.epochs) == (batch_size, epochs)
    assert MIN_EPOCHS <= config_of(of(images)).epochs <= MAX_EPOCHS


def test_images_count_by_their_weight_and_captions_by_their_words():
    images = [
        PreparedImage("1.jpg", "1", "train", ("A red dog.", "a dog"), 2.5),
        PreparedImage("2.jpg", "2", "train", ("A cat",), 0.5),
    ]
    found = DataStatistics.of(images)
    assert found == DataStatistics(3.0, Counter(a=3, dog=2, red=1, cat=1), Counter({2: 2, 3: 1}))
    assert found.steps(2) == 2
    assert found.known_share(2) == pytest.approx(5 / 7)


@given(st.dictionaries(st.integers(0, 60), st.integers(1, 50), min_size=1), st.floats(0.5, 1))
def test_the_length_that_covers_a_share_is_the_smallest_that_does(lengths, share):
    found = of(1, lengths=lengths).length_covering(share)
    total = sum(lengths.values())

    def covered(limit):
        return sum(count for length, count in lengths.items() if length <= limit)

    assert covered(found) >= share * total - 1e-6
    assert found == 1 or covered(found - 1) < share * total
