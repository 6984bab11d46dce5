"""The unfinished hypotheses of a search."""

from dataclasses import dataclass

import numpy as np

from capgen.captioner.vocabulary import START


@dataclass(frozen=True)
class Choice:
    """What a strategy chooses in one step, for A unfinished images with K rows each.

    Attributes:
        words: (A, K) int32, the word that each row goes on with.
        finished: (A,) bool, the images whose search is over.
        parents: (A, K), the row of its image that each row goes on from; each row goes on from itself if it is ``None``.
    """

    words: np.ndarray
    finished: np.ndarray
    parents: np.ndarray | None = None


@dataclass(frozen=True)
class Prefixes:
    """What the rows of a search have said so far: K rows for each of A unfinished images, all equally long.

    Attributes:
        images: (A,), the index of each unfinished image in the batch.
        ids: (A, K, T + 1) int32, the start token and the T words said so far.
        source_rows: (A*K,), the row of the previous step that each row goes on from; ``None`` if each row is the same row as
            before, and at the start. Whoever keeps something for each row selects it by these.
    """

    images: np.ndarray
    ids: np.ndarray
    source_rows: np.ndarray | None = None

    @classmethod
    def first(cls, images: int, rows: int) -> "Prefixes":
        """Return what has been said before the first word: nothing, for N images of K rows."""
        return cls(np.arange(images), np.full((images, rows, 1), START, np.int32))

    @property
    def position(self) -> int:
        """T, how many words have been said."""
        return self.ids.shape[2] - 1

    @property
    def last_words(self) -> np.ndarray:
        """(A, K) int32, contiguous: the last word of each row; the start token at first."""
        return np.ascontiguousarray(self.ids[..., -1])

    def extended(self, choice: Choice) -> "Prefixes":
        """Return the rows of the images that are not finished, with the chosen words."""
        images, rows = choice.words.shape
        unfinished = ~choice.finished
        ids, sources = self.ids, np.arange(images * rows).reshape(images, rows)
        if choice.parents is not None:
            ids = np.take_along_axis(ids, choice.parents[..., None], axis=1)
            sources = np.take_along_axis(sources, choice.parents, axis=1)
        ids = np.concatenate([ids, choice.words[..., None]], axis=2)[unfinished]  # (A, K, T + 2)
        moved = choice.parents is not None or bool(choice.finished.any())
        return Prefixes(self.images[unfinished], ids, sources[unfinished].reshape(-1) if moved else None)
