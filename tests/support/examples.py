"""How many examples Hypothesis tries."""

from hypothesis import settings

USUAL = 100
"""What Hypothesis tries where nothing else is said."""


def examples(count):
    """Return a number of examples, or in the same proportion as few as the profile that is active wants."""
    return max(1, count * settings.default.max_examples // USUAL)
