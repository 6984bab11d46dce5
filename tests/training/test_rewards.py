"""Self-critical training: the reward, the loss of the softened policy, and batches of sampled and scored captions."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.chi_square import assert_as_likely
from support.examples import examples
from support.random_decoder import FIRST_WORD, RandomDecoder, V, features_of

from capgen.captioner.constraints import ConstraintConfig, Constraints
from capgen.captioner.decoding import DecodingOptions, sample, search
from capgen.captioner.slots import CLASSES, VisualWord, VisualWords
from capgen.captioner.text import CaptionText
from capgen.captioner.vocabulary import END, PAD, SPECIAL, START, Vocabulary
from capgen.datasets.prepared import PreparedImage
from capgen.evaluation import metrics
from capgen.training import rewards
from capgen.training.features import CachedFeatures, FeatureStore
from capgen.training.losses import PolicyLoss
from capgen.training.rewards import END_TOKEN, SelfCriticalSampler
from capgen.training.stages.self_critical import train_on_samples

tokens = st.lists(st.sampled_from(["a", "dog", "runs", "fast", END_TOKEN]), max_size=8)


# The scorer


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.tuples(tokens, tokens, st.lists(tokens, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_one_scorer_of_many_captions_gives_what_cider_d_gives(images):
    first, second, references = zip(*images, strict=True)
    known = metrics.References(references)
    scorer = metrics.Cider(known)
    for candidates in (first, second, first):
        _, expected = metrics.cider_d(candidates, references)
        assert scorer.scores(known.matches(candidates)).tolist() == expected
    twice = [*range(len(references)), *range(len(references))]
    both = scorer.scores(known.matches([*first, *second], twice)).tolist()
    assert both == [*metrics.cider_d(first, references)[1], *metrics.cider_d(second, references)[1]]


def test_a_caption_without_its_closing_scores_less():
    references = [[["a", "dog", "runs", END_TOKEN]], [["two", "cats", "sit", END_TOKEN]], [["a", "boat", END_TOKEN]]]
    known = metrics.References(references)
    open_one, closed = metrics.Cider(known).scores(
        known.matches([["a", "dog", "runs"], ["a", "dog", "runs", END_TOKEN]], [0, 0])
    )
    assert open_one < closed == pytest.approx(10)


# The loss


def plain_loss(targets, logits, advantages, temperature):
    """The mean over words of an advantage times how unlikely the softened policy finds its word."""
    total = 0.0
    for target, row, advantage in zip(targets, logits / temperature, advantages, strict=True):
        total -= advantage * (row[target] - np.log(np.exp(row).sum()))
    return total / len(targets)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_loss_is_the_mean_of_advantages_times_unlikeliness(temperature):
    random = np.random.default_rng(0)
    targets, logits, advantages = random.integers(0, 7, 11), random.normal(size=(11, 7)), random.normal(size=11)
    found = PolicyLoss(temperature)(targets, logits.astype(np.float32), sample_weight=advantages.astype(np.float32))
    assert float(found) == pytest.approx(plain_loss(targets, logits, advantages, temperature), rel=1e-5)


def test_training_makes_better_samples_likelier_and_worse_ones_less_likely():
    logits = keras.layers.Dense(5, use_bias=False, kernel_initializer="zeros")
    inputs = keras.Input((2,))
    model = keras.Model(inputs, logits(inputs))
    model.compile(keras.optimizers.SGD(0.5), PolicyLoss(0.5))
    rows, targets = np.eye(2, dtype=np.float32), np.array([3, 3])
    model.train_on_batch(rows, targets, sample_weight=np.array([1.0, -1.0], np.float32))
    better, worse = np.asarray(logits.kernel)
    assert better.argmax() == worse.argmin() == 3
    # the gradient of -advantage * log p(3), with p even over five words, over two rows and the temperature
    np.testing.assert_allclose(better, 0.5 * (np.eye(5)[3] - 0.2) / 0.5 / 2, rtol=1e-5)
    np.testing.assert_allclose(worse, -better, rtol=1e-5)


# Batches that are sampled

CONSTRAINTS = ConstraintConfig.default()
VOCABULARY = Vocabulary((*SPECIAL, "a", "dog", "cat", "runs"))
CAPTIONS = [("a dog runs", "a dog"), ("a cat", "cat runs"), ("a cat a dog", "dog runs")]
COUNT, LONGEST = 6, 4


@pytest.fixture
def made(tmp_path):
    """Make a sampler for three images; how likely captions are to end, and its visual words, are arguments."""

    def make(ending=0.0, vocabulary=VOCABULARY, names=None, favoured=(), distinct=0.0):
        store = FeatureStore(tmp_path / f"store{ending}{len(vocabulary)}")
        classes = np.zeros((3, 1, CLASSES))
        classes[[0, 1, 2], 0, [0, 1, 2]] = 1.0
        store.write(["p0", "p1", "p2"], {"grid": np.arange(3).reshape(3, 1, 1), "probabilities": classes})
        features = CachedFeatures(store, "grid", names)
        images = [
            PreparedImage(f"{index}.png", f"p{index}", "train", tuple(captions)) for index, captions in enumerate(CAPTIONS)
        ]
        options = DecodingOptions(num_beams=1, num_captions=COUNT, max_words=LONGEST, temperature=0.7)
        decoder = RandomDecoder(5, favoured={END: ending, **dict(favoured)}, vocabulary_size=len(vocabulary))
        text, constraints = CaptionText(vocabulary, names, 0.15), Constraints(vocabulary, names, CONSTRAINTS)
        return SelfCriticalSampler(images, features, text, constraints, decoder, options, distinct)

    return make


def sampled_captions(inputs, targets):
    """Every row of a batch as its words and whether it ends, from what training would get."""
    words = inputs["words"].reshape(-1, LONGEST + 1)
    by_row = [[] for _ in words]
    for position, target in zip(inputs["positions"].tolist(), targets.tolist(), strict=True):
        by_row[position // (LONGEST + 1)].append(target)
    for row, said in zip(words, by_row, strict=True):
        assert row.tolist() == [START, *said[:-1], *[PAD] * (LONGEST + 1 - len(said))]
        assert said[-1] == END
    return [said[:-1] for said in by_row]


def advantages_of(inputs, weights):
    """The weights of each row's words."""
    return [weights[inputs["positions"] // (LONGEST + 1) == row] for row in range(inputs["words"].size // (LONGEST + 1))]


def test_an_advantage_is_how_much_better_a_caption_is_than_its_siblings(made):
    inputs, targets, weights, mean = made().batch([2, 0], [1])
    captions = sampled_captions(inputs, targets)
    truths = [[[*text.split(), END_TOKEN] for text in texts] for texts in CAPTIONS]
    assert len({tuple(caption) for caption in captions}) > COUNT
    rewards = []
    for index, ids in enumerate(captions):
        said = [VOCABULARY.entries[word] for word in ids]
        candidates = [[], [], []]
        candidates[[2, 0][index // COUNT]] = said if len(said) == LONGEST else [*said, END_TOKEN]
        rewards.append(max(metrics.cider_d(candidates, truths)[1]))
    assert mean == pytest.approx(np.mean(rewards))
    for index, found in enumerate(advantages_of(inputs, weights)):
        start = index // COUNT * COUNT
        siblings = [rewards[other] for other in range(start, start + COUNT) if other != index]
        np.testing.assert_allclose(found[:LONGEST], rewards[index] - np.mean(siblings), atol=1e-5)


@pytest.mark.parametrize("ending", [-2.0, 0.0, 2.0])
def test_the_advantages_of_an_image_sum_to_nothing(made, ending):
    inputs, _, weights, _ = made(ending).batch([0, 1, 2], [4])
    first = np.array([rows[0] for rows in advantages_of(inputs, weights)]).reshape(3, COUNT)
    assert np.abs(first).max() > 0.1
    np.testing.assert_allclose(first.sum(axis=1), 0.0, atol=1e-5)


def scored_by(monkeypatch):
    """Fill a list with the images and tokens that are scored."""
    scored, matches = [], metrics.References.matches

    def recorded(self, candidates, images):
        scored.extend(zip(images, candidates, strict=True))
        return matches(self, candidates, images)

    monkeypatch.setattr(metrics.References, "matches", recorded)
    return scored


def test_a_caption_that_is_cut_off_gets_no_closing_and_is_not_blamed_for_its_end(made, monkeypatch):
    scored = scored_by(monkeypatch)
    inputs, targets, weights, _ = made(ending=-1.0).batch([0, 1, 2], [0])
    captions = sampled_captions(inputs, targets)
    cut = [len(caption) == LONGEST for caption in captions]
    assert 0 < sum(cut) < len(cut)
    assert [END_TOKEN not in said for _, said in scored] == cut
    for rows, is_cut in zip(advantages_of(inputs, weights), cut, strict=True):
        assert len(rows) == LONGEST + 1 or not is_cut
        assert (rows[-1] == 0.0) == is_cut
        assert len(set(rows[:-1].tolist())) == 1


def test_the_same_seed_samples_the_same_in_any_batch(made):
    critic = made()
    (first, *more), (second, *again) = critic.batch([0, 1], [7, 3]), made().batch([0, 1], [7, 3])
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    for one, other in zip(more, again, strict=True):
        np.testing.assert_array_equal(one, other)
    other, *_ = critic.batch([0, 1], [7, 4])
    assert not np.array_equal(first["words"], other["words"])


def test_slots_are_scored_by_what_they_are_filled_with(made, monkeypatch):
    names = VisualWords(
        [VisualWord("dog", "dogs", "animal", "count", (0,)), VisualWord("cat", "cats", "animal", "count", (1,))]
    )
    vocabulary = Vocabulary((*SPECIAL, *names.slots, "a", "runs", "fast", "slow"))
    scored = scored_by(monkeypatch)
    made(vocabulary=vocabulary, names=names, favoured={FIRST_WORD: 3.0}).batch([0, 1, 2], [0])
    said = {index: {word for image, words in scored if image == index for word in words} for index in range(3)}
    assert "dog" in said[0]
    assert "cat" in said[1]
    assert said[0] & {"cat", "cats"} == said[1] & {"dog", "dogs"} == set()
    assert said[2] & {"dog", "dogs", "cat", "cats", "animal", "animals"} == set()


def test_an_epoch_goes_through_the_images_and_reports_the_mean_reward(made):
    critic, reported, trained = made(), [], []

    def train(batch):
        trained.append((len(batch.inputs["features"]), len(batch.targets), len(batch.advantages)))

    mean = train_on_samples(
        [[2, 0], [1]], lambda chosen, step: critic.batch(chosen, [1, 5, step]), train, lambda *step: reported.append(step)
    )
    assert [count for count, *_ in trained] == [2, 1]
    assert all(targets == weights for _, targets, weights in trained)
    rewards = [critic.batch([2, 0], [1, 5, 1]).reward, critic.batch([1], [1, 5, 2]).reward]
    assert [step for step, _ in reported] == [1, 2]
    assert reported[0][1] == pytest.approx(rewards[0])
    assert reported[1][1] == mean == pytest.approx((2 * rewards[0] + rewards[1]) / 3)


# Sampling from all words, the way without sorting

SAMPLES = 4000


def first_words(top_p, temperature=0.7, seed=2):
    """How often each word comes first in many samples, and how likely it is there."""
    decoder = RandomDecoder(seed)
    options = DecodingOptions(num_beams=1, num_captions=SAMPLES, max_words=1, temperature=temperature, top_p=top_p)
    [samples] = sample(decoder, features_of(0), options, seeds=[0])
    weights = np.exp(decoder.after(0, ())[FIRST_WORD:] / temperature)
    return np.array([word for (word,) in samples]), dict(enumerate(weights / weights.sum(), FIRST_WORD))


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.0, 3.0])
def test_words_are_sampled_as_often_as_they_are_likely(temperature):
    words, probabilities = first_words(1.0, temperature)
    assert_as_likely(
        {word: int((words == word).sum()) for word in range(V) if (words == word).any()}, probabilities, SAMPLES
    )


def test_sampling_from_all_words_is_like_sampling_from_nearly_all():
    (whole, _), (nearly, _) = first_words(1.0), first_words(1 - 1e-12)
    assert not np.array_equal(whole, nearly)  # one number falls on another word where words are not sorted
    for word in range(FIRST_WORD, V):
        assert (whole == word).mean() == pytest.approx((nearly == word).mean(), abs=0.03)


def test_samples_have_words_alone_and_do_not_depend_on_the_batch():
    decoder, options = RandomDecoder(1), DecodingOptions(num_beams=1, num_captions=50, max_words=5, temperature=1.0)
    samples = sample(decoder, features_of(0, 1), options, seeds=[3, 4])
    assert [len(each) for each in samples] == [50, 50]
    assert all(1 <= len(ids) <= 5 and min(ids) >= FIRST_WORD for each in samples for ids in each)
    assert sample(decoder, features_of(1), options, seeds=[4]) == samples[1:]


def test_the_different_samples_are_the_hypotheses_of_a_search_with_their_own_log_probabilities():
    decoder, options = RandomDecoder(1), DecodingOptions(num_beams=1, num_captions=50, max_words=5, temperature=1.0)
    samples = sample(decoder, features_of(0, 1), options, seeds=[3, 4])
    for image, found in enumerate(search(decoder, features_of(0, 1), options, seeds=[3, 4])):
        assert {one.ids for one in found} == set(samples[image])
        for one in found:
            assert one.log_probability == pytest.approx(decoder.log_probability(image, one.ids))


# Captions that distinguish an image from similar ones


def test_a_caption_loses_a_share_of_what_it_is_worth_to_similar_images(made):
    truths = [[[*text.split(), END_TOKEN] for text in texts] for texts in CAPTIONS]
    inputs, targets, weights, mean = made(distinct=0.25).batch([1], [3])
    rewards = []
    for ids in sampled_captions(inputs, targets):
        said = [VOCABULARY.entries[word] for word in ids]
        said = said if len(said) == LONGEST else [*said, END_TOKEN]
        known = [metrics.cider_d([said, said, said], truths)[1][image] for image in range(3)]
        rewards.append(known[1] - 0.25 * (known[0] + known[2]) / 2)
    assert mean == pytest.approx(np.mean(rewards))
    assert [found[0] for found in advantages_of(inputs, weights)] == pytest.approx(
        (np.array(rewards) - np.mean(rewards)) * COUNT / (COUNT - 1), abs=1e-6
    )


def test_an_image_without_another_loses_nothing(made):
    critic = made(distinct=0.25)
    critic.images = critic.images[:1]
    assert critic.batch([0], [3])[3] == made().batch([0], [3])[3]


def test_similar_images_are_those_with_similar_features(tmp_path, monkeypatch):
    monkeypatch.setattr(rewards, "SIMILAR_IMAGES", 2)
    monkeypatch.setattr(rewards, "_ROWS", 4)
    random = np.random.default_rng(0)
    kinds = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])
    grids = random.normal(size=(3, 1, 8))[kinds] + random.normal(size=(9, 4, 8)) / 5
    store = FeatureStore(tmp_path)
    store.write([f"p{index}" for index in range(9)], {"grid": grids})
    images = [PreparedImage(f"{index}.png", f"p{index}", "train", ("a dog",)) for index in range(9)]
    options = DecodingOptions(num_beams=1, num_captions=COUNT, temperature=0.7)
    critic = SelfCriticalSampler(
        images,
        CachedFeatures(store, "grid", None),
        CaptionText(VOCABULARY, None, 0.15),
        Constraints(VOCABULARY, None, CONSTRAINTS),
        RandomDecoder(5),
        options,
        1.0,
    )
    found = [sorted(row) for row in critic._similar.tolist()]
    assert found == [[other for other in range(9) if kinds[other] == kinds[one] and other != one] for one in range(9)]
