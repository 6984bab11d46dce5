"""Pearson's chi-square test, of whether outcomes are sampled as often as they are likely."""

import math

import pytest

SAMPLES = 4000


def chi_square(counts, probabilities, samples):
    """Pearson's statistic and its degrees of freedom, rare outcomes together."""
    rare = [outcome for outcome in probabilities if probabilities[outcome] * samples < 8]
    bins = [(counts[outcome], probabilities[outcome] * samples) for outcome in probabilities if outcome not in rare]
    together = sum(probabilities[outcome] for outcome in rare) * samples
    if together >= 8:
        bins.append((sum(counts[outcome] for outcome in rare), together))
    return sum((found - due) ** 2 / due for found, due in bins), len(bins) - 1


def assert_as_likely(counts, probabilities, samples=SAMPLES):
    assert sum(probabilities.values()) == pytest.approx(1)
    assert set(counts) <= set(probabilities)
    statistic, freedom = chi_square(counts, probabilities, samples)
    assert statistic < freedom + 5 * math.sqrt(2 * freedom) + 5  # five standard deviations; the seed is fixed
