"""Pearson's chi-square test, of whether outcomes are drawn as often as they are likely."""

import math

import pytest

DRAWS = 4000


def chi_square(counts, chances, draws):
    """Pearson's statistic and its degrees of freedom, rare outcomes together."""
    rare = [outcome for outcome in chances if chances[outcome] * draws < 8]
    cells = [(counts[outcome], chances[outcome] * draws) for outcome in chances if outcome not in rare]
    together = sum(chances[outcome] for outcome in rare) * draws
    if together >= 8:
        cells.append((sum(counts[outcome] for outcome in rare), together))
    return sum((found - due) ** 2 / due for found, due in cells), len(cells) - 1


def assert_as_likely(counts, chances, draws=DRAWS):
    assert sum(chances.values()) == pytest.approx(1)
    assert set(counts) <= set(chances)
    statistic, freedom = chi_square(counts, chances, draws)
    assert statistic < freedom + 5 * math.sqrt(2 * freedom) + 5  # five standard deviations; the seed is fixed
