"""``TrainingData``: images, cached features and captions as word ids, which a training loop learns from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from capgen.captioner.constraints import ConstraintConfig, Constraints
from capgen.captioner.language import ENGLISH, is_english
from capgen.captioner.slots import VisualWords
from capgen.captioner.text import CaptionText
from capgen.captioner.vocabulary import SPECIAL, START, UNKNOWN, Vocabulary, domain_token, words
from capgen.datasets.prepared import PreparedDataset, PreparedImage, in_target_domain
from capgen.errors import TrainingError
from capgen.training.batches import CaptionBatches, Sample
from capgen.training.config import TrainingConfig
from capgen.training.features import MIRROR, CachedFeatures
from capgen.training.mirroring import Sides, language_sides, mirrored
from capgen.training.warm_start import WarmStart


@dataclass(frozen=True)
class TrainingData:
    """What a training loop learns from.

    Attributes:
        config: The hyper-parameters.
        dataset: The prepared data set.
        features: The cached features of its images.
        visual_words: The visual words that fill slots; ``None`` without slots.
        vocabulary: The vocabulary of the captioner.
        constraint_config: The constants of what the captioner may say.
        samples: The training images with their captions as ids; empty without cross-entropy epochs.
        dev_samples: The dev images likewise.
    """

    config: TrainingConfig
    dataset: PreparedDataset
    features: CachedFeatures
    visual_words: VisualWords | None
    vocabulary: Vocabulary
    constraint_config: ConstraintConfig
    samples: Sequence[Sample]
    dev_samples: Sequence[Sample]

    @cached_property
    def text(self) -> CaptionText:
        """Maps ids to the text of captions and back."""
        return CaptionText(self.vocabulary, self.visual_words, self.constraint_config.min_class_probability)

    @cached_property
    def constraints(self) -> Constraints:
        """What the captioner may say of an image."""
        return Constraints(self.vocabulary, self.visual_words, self.constraint_config)

    @property
    def language(self) -> str:
        """The tag of the language that the captioner writes in."""
        return self.vocabulary.language

    @property
    def train_images(self) -> list[PreparedImage]:
        """The images of the train split."""
        return self.dataset.split("train")

    @cached_property
    def dev_images(self) -> list[PreparedImage]:
        """The images of the dev split."""
        return self.dataset.split("dev")

    @cached_property
    def self_critical_images(self) -> list[PreparedImage]:
        """The images that self-critical training samples captions for."""
        return self.config.self_critical_images(self.train_images)

    def train_batches(self, epoch: int) -> CaptionBatches:
        """Return the batches of a cross-entropy epoch, in an order that only the seed and the epoch's number decide."""
        return self._batches(self.samples, augmentations=self.dataset.augmentations, seed=self.config.seed, epoch=epoch)

    def steps_per_epoch(self) -> int:
        """Return the number of training steps in the first epoch."""
        return len(self._batches(self.samples, seed=self.config.seed, epoch=1))

    def dev_batches(self) -> CaptionBatches:
        """Return the batches of the dev split, in its own order."""
        return self._batches(self.dev_samples)

    def _batches(self, samples: Sequence[Sample], **order) -> CaptionBatches:
        return CaptionBatches(
            samples,
            self.features,
            captions_per_image=self.config.captions_per_image,
            max_words=self.config.max_words,
            batch_size=self.config.batch_size,
            **order,
        )


def choose_visual_words(
    config: TrainingConfig, images: Sequence[PreparedImage], language: str = ENGLISH
) -> VisualWords | None:
    """Choose the visual words of a new captioner: the classes of ImageNet that captions of the target domain rarely name.

    Their names are English, so that a captioner of another language has none.
    """
    if not config.slots_below or not is_english(language):
        return None
    captions = (caption for image in in_target_domain(images) for caption in image.captions)
    return VisualWords.imagenet().rarer_than(config.slots_below, captions)


def build_training_data(
    config: TrainingConfig, dataset: PreparedDataset, features: CachedFeatures, warm_start: WarmStart | None = None
) -> TrainingData:
    """Build the vocabulary of a data set's training captions and encode its captions with it.

    Args:
        config: The hyper-parameters.
        dataset: The prepared data set.
        features: The cached features; they have the visual words.
        warm_start: The captioner that is continued; new words are added after those of its vocabulary.

    Raises:
        TrainingError: The vocabulary would be empty.
        DataError: The train or the dev split is empty.
    """
    images = dataset.split("train") if config.epochs else []
    constraint_config = warm_start.constraints if warm_start else ConstraintConfig.default()
    least = constraint_config.min_class_probability
    language = warm_start.vocabulary.language if warm_start else dataset.language
    texts = [caption_words(image, features, least, language) for image in images]
    vocabulary = _build_vocabulary(config, images, texts, features.visual_words, language)
    if warm_start:
        vocabulary = warm_start.vocabulary.extended(vocabulary)
    sides = language_sides(language) if MIRROR in dataset.augmentations else None
    return TrainingData(
        config=config,
        dataset=dataset,
        features=features,
        visual_words=features.visual_words,
        vocabulary=vocabulary,
        constraint_config=constraint_config,
        samples=[_sample(image, captions, vocabulary, sides) for image, captions in zip(images, texts, strict=True)],
        dev_samples=[
            _sample(image, caption_words(image, features, least, language), vocabulary) for image in dataset.split("dev")
        ],
    )


def _build_vocabulary(
    config: TrainingConfig,
    images: Sequence[PreparedImage],
    texts: Sequence[Sequence[Sequence[str]]],
    visual_words: VisualWords | None,
    language: str,
) -> Vocabulary:
    """Build the vocabulary of training captions, with the slots and the domain tokens that they may have.

    Args:
        config: The hyper-parameters.
        images: The training images; none if no captions are learnt from.
        texts: The words of the captions of each image.
        visual_words: What fills slots.
        language: The tag of the language of the captions.

    Raises:
        TrainingError: There are images, and the vocabulary would be empty.
    """
    domains = sorted({image.domain for image in images} - {""})
    tokens = (*(visual_words.slots if visual_words else ()), *map(domain_token, domains))
    every = (caption for captions in texts for caption in captions)
    vocabulary = Vocabulary.build(every, config.min_count, tokens, language)
    if images and len(vocabulary) <= len(SPECIAL) + len(tokens):
        raise TrainingError(f"no word occurs {config.min_count} times in the training captions; lower min_count")
    return vocabulary


def caption_words(
    image: PreparedImage, features: CachedFeatures, min_class_probability: float, language: str = ENGLISH
) -> list[list[str]]:
    """Return the words of an image's captions, with slots for the visual words that agree with the class scores.

    Args:
        image: The image.
        features: The cached features, with the visual words.
        min_class_probability: Probability from which the best visual word of a group becomes a slot.
        language: The tag of the language of the captions.
    """
    captions = [words(caption, language) for caption in image.captions]
    class_scores = features.class_scores(image.image_hash)
    if features.visual_words is None or class_scores is None:
        return captions
    return [features.visual_words.delexicalise(caption, class_scores, min_class_probability) for caption in captions]


def _sample(
    image: PreparedImage, captions: Sequence[Sequence[str]], vocabulary: Vocabulary, sides: Sides | None = None
) -> Sample:
    """Encode the captions of an image, and those of its mirror image if ``sides`` has what changes places in them."""
    encoded = [vocabulary.ids(caption) for caption in captions]
    return Sample(
        image_hash=image.image_hash,
        captions=encoded,
        weight=image.weight,
        start=vocabulary.ids([domain_token(image.domain)])[0] if image.domain else START,
        mirrored_captions=_mirrored_captions(captions, encoded, vocabulary, sides) if sides else (),
    )


def _mirrored_captions(
    captions: Sequence[Sequence[str]], encoded: Sequence[Sequence[int]], vocabulary: Vocabulary, sides: Sides
) -> Sequence[Sequence[int]]:
    """Return the ids of captions for the mirror image; none if a side is not clear, or there is no word for the other."""
    found = [vocabulary.ids(other) for caption in captions if (other := mirrored(caption, sides)) is not None]
    all_known = all(other.count(UNKNOWN) == ids.count(UNKNOWN) for other, ids in zip(found, encoded, strict=False))
    return found if len(found) == len(captions) and all_known else ()
