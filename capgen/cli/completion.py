"""What shells complete that is not a file: names that lie in the user's folders or ship with capgen.

Nothing is read but the names in folders, and nothing is loaded for it that takes a while, since a person waits for the key.
Names of registries are completed where their options are.
"""

from capgen.storage import paths


def captioners() -> list[str]:
    """Return the names of all captioners at hand."""
    from capgen.captioner import catalogue

    return catalogue.names()


def own_captioners() -> list[str]:
    """Return the names of the captioners in the data folder."""
    return [name for name in captioners() if (paths.models_dir() / name).is_dir()]


def data_sets() -> list[str]:
    """Return the names of all prepared data sets."""
    from capgen.datasets import prepared

    return prepared.names()


def recipes() -> list[str]:
    """Return the names of the recipes that ship."""
    from capgen.training.recipe_files import recipe_names

    return recipe_names()
