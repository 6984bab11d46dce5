"""The settings of a training run: where they come from, what they refuse, and that the recipes are valid."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.errors import ConfigError
from capgen.training import config as configs
from capgen.training.config import RECIPES, TrainingConfig


def test_later_sources_go_before_earlier_ones(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("dropout = 0.1\nepochs = 3\nseed = 4\n")
    found = configs.load(file, ["epochs=5", "seed = 6"], seed=7, batch_size=None)
    assert (found.dropout, found.epochs, found.seed, found.batch_size) == (0.1, 5, 7, TrainingConfig().batch_size)


def test_every_field_has_a_meaning():
    assert set(configs.describe()) == {item.name for item in fields(TrainingConfig)}
    assert all(configs.describe().values())


@pytest.mark.parametrize("recipe", sorted(path.stem for path in RECIPES.glob("*.toml")))
def test_a_recipe_that_ships_is_valid_by_its_name(recipe, tmp_path, monkeypatch):
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    configs.load(Path(recipe))


def test_whole_numbers_do_for_numbers(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("dropout = 0\n")
    assert configs.load(file).dropout == 0.0


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("dropuot=1", "did you mean dropout"),
        ("zzzzzz=1", "known: "),
        ("epochs=2.5", "whole number"),
        ("epochs=-1", "at least 0"),
        ("epochs=0", "nothing to train"),
        ("scst.samples=1", "at least 2"),
        ("encoder.shares=1", "did you mean encoder_share"),
        ("scts.epochs=1", "did you mean scst_epochs"),
        (".=1", "known: "),
        ("learning_rate=fast", "a number"),
        ("learning_rate=nan", "finite number"),
        ("dropout=1.5", "at most"),
        ("schedule=cosin", "did you mean cosine"),
        ("epochs", "key=value"),
    ],
)
def test_a_setting_that_does_not_fit_names_the_field_and_what_it_takes(setting, words):
    with pytest.raises(ConfigError, match=words):
        configs.load(settings=[setting])


def test_a_dotted_setting_is_the_field_of_a_table(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("epochs = 0\nseed = 4\n\n[encoder]\nepochs = 6\nshare = 1\n\n[scst]\nepochs = 4\nlearning_rate = 1e-5\n")
    expected = TrainingConfig(epochs=0, seed=4, encoder_epochs=6, encoder_share=1.0, scst_epochs=4, scst_learning_rate=1e-5)
    assert configs.load(file) == expected
    settings = ["epochs=0", "seed=4", "encoder.epochs=6", "encoder.share=1", "scst.epochs = 4", "scst_learning_rate=1e-5"]
    assert configs.load(settings=settings) == expected
    assert configs.load(file, ["scst.epochs=2", "encoder_share=0.5"]).scst_epochs == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[scts]\nepochs = 1\n", "did you mean scst_epochs"),
        ("[scst]\nepochen = 1\n", "did you mean scst_epochs"),
        ("[scst.epochs]\nmost = 1\n", "'scst_epochs_most'|it takes a whole number"),
        ("scst = 3\n", "no setting named 'scst'"),
        ("[[scst]]\nepochs = 1\n", "no setting named 'scst'"),
        ("[encoder]\nepochs = 1.5\n", "encoder_epochs = 1.5: it takes a whole number"),
        ("[encoder]\nshare = 2\n", "encoder_share = 2.0: it must be at most"),
    ],
)
def test_a_table_that_does_not_fit_names_the_field(tmp_path, text, words):
    file = tmp_path / "run.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words):
        configs.load(file)


@given(st.text())
def test_no_text_is_more_than_a_config_error(setting):
    try:
        found = configs.load(settings=[setting])
    except ConfigError:
        return
    assert isinstance(found, TrainingConfig)


@given(
    st.dictionaries(st.sampled_from([item.name for item in fields(TrainingConfig)]), st.none() | st.booleans() | st.text())
)
def test_values_of_another_type_are_refused(values):
    strings = {item.name for item in fields(TrainingConfig) if item.type is str}
    if any(name not in strings for name in values):
        with pytest.raises(ConfigError):
            configs.from_mapping(values)


def test_a_config_survives_its_own_mapping():
    config = configs.load(settings=["dropout=0.25", "decoder=merge"])
    assert configs.from_mapping(configs.to_mapping(config)) == config
