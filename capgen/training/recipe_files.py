"""Which recipes ship with capgen. Their names are known without loading what reads them."""

from pathlib import Path

RECIPES = Path(__file__).parent / "recipes"
"""The folder of the recipes that ship, one TOML file each."""


def recipe_names() -> list[str]:
    """Return the names of the recipes that ship, sorted."""
    return sorted(file.stem for file in RECIPES.glob("*.toml"))
