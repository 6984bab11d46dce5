"""What each caption adds to the scores of all, and how far those would move on other pictures of the same kind."""

from dataclasses import dataclass

import numpy as np

from capgen.metrics.bleu import ORDERS, bleu_of

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Scored:
    """Captions after each was compared with the human ones of its picture.

    Attributes:
        bleu_counts: (N, 10), see ``metrics.bleu_counts``.
        rouge_l: (N,).
        cider_d: (N,), with document frequencies from the references of all.
    """

    bleu_counts: np.ndarray
    rouge_l: np.ndarray
    cider_d: np.ndarray

    def scores(self) -> dict[str, float]:
        """Return ``BLEU-1`` to ``BLEU-4``, ``ROUGE-L`` and ``CIDEr-D``, as fractions, and ``images``, how many."""
        once = np.ones((1, len(self.rouge_l)), np.int64)
        return {**{name: float(values[0]) for name, values in self._over(once).items()}, "images": len(self.rouge_l)}

    def intervals(self, seed: int = 0) -> dict[str, tuple[float, float]]:
        """Return the 95 % interval of each score, by percentile bootstrap over the pictures (Efron 1979).

        Args:
            seed: Decides which pictures are drawn, with replacement.
        """
        count = len(self.rouge_l)
        times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)  # (1000, N)
        ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
        quantiles = {name: np.quantile(draws, ends).tolist() for name, draws in self._over(times).items()}
        return {name: (low, high) for name, (low, high) in quantiles.items()}

    def _over(self, times: np.ndarray) -> dict[str, np.ndarray]:
        """Score draws: how often each picture is in each, (D, N), to the value of each score on each, (D,)."""
        blue = bleu_of(times @ self.bleu_counts)
        means = {
            name: times @ each / times.sum(axis=1) for name, each in (("ROUGE-L", self.rouge_l), ("CIDEr-D", self.cider_d))
        }
        return {f"BLEU-{n + 1}": blue[:, n] for n in range(ORDERS)} | means
