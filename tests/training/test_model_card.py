"""The model card of a captioner."""

from dataclasses import replace

import pytest

from capgen.captioner import catalogue
from capgen.captioner.bundle import Bundle
from capgen.training import model_card

DESCRIPTION = Bundle(catalogue.SHIPPED / catalogue.DEFAULT).description


def test_the_card_shows_the_scores_of_each_split():
    card = model_card.model_card(DESCRIPTION)
    for split, values in DESCRIPTION.scores.items():
        assert f"| {split} | {values['images']} | " in card
        assert f"{values['CIDEr-D']:.4f}" in card


def test_a_metric_that_is_not_computed_at_the_export_leaves_a_dash(monkeypatch):
    monkeypatch.setattr(model_card, "METRICS", ("CIDEr-D", "SPICE"))
    card = model_card.model_card(DESCRIPTION)
    assert "| split | images | CIDEr-D | SPICE |" in card
    for values in DESCRIPTION.scores.values():
        assert f"| {values['CIDEr-D']:.4f} | – |" in card


@pytest.mark.parametrize(("language", "rule"), [("hi", "unicode-words (hi)"), ("ja", "unicode-characters (ja)")])
def test_the_card_names_the_rule_by_which_captions_of_another_language_are_split(language, rule):
    description = replace(DESCRIPTION, training={**DESCRIPTION.training, "language": language})
    assert rule in model_card.model_card(description)
    assert "unicode-" not in model_card.model_card(DESCRIPTION)
