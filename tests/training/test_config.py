"""The settings of a training run: where they come from, what they refuse, and that the recipes are valid."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.errors import ConfigError
from capgen.training import config as configs
from capgen.training.config import TrainingConfig
from capgen.training.recipe_files import recipe_names
from capgen.training.settings import OLD_NAMES, RECIPE_ALIASES, config_from_mapping, load_settings


def test_later_sources_go_before_earlier_ones(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("dropout = 0.1\nepochs = 3\nseed = 4\n")
    found = load_settings(file, ["epochs=5", "seed = 6"], seed=7, batch_size=None).with_defaults()
    assert (found.dropout, found.epochs, found.seed, found.batch_size) == (0.1, 5, 7, TrainingConfig().batch_size)


def test_every_field_has_a_meaning():
    assert set(configs.describe()) == {item.name for item in fields(TrainingConfig)}
    assert all(configs.describe().values())


@pytest.mark.parametrize("recipe", recipe_names())
def test_a_recipe_that_ships_is_valid_by_its_name(recipe, tmp_path, monkeypatch):
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    load_settings(Path(recipe))


def test_whole_numbers_do_for_numbers(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("dropout = 0\n")
    assert load_settings(file).with_defaults().dropout == 0.0


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("dropuot=1", "did you mean dropout"),
        ("zzzzzz=1", "known: "),
        ("epochs=2.5", "whole number"),
        ("epochs=-1", "at least 0"),
        ("epochs=0", "nothing to train"),
        ("scst.samples=1", "at least 2"),
        ("encoder.lr_multiplyer=1", "did you mean encoder_lr_multiplier"),
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
        load_settings(settings=[setting])


def test_a_dotted_setting_is_the_field_of_a_table(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(
        "epochs = 0\nseed = 4\n\n[encoder]\nepochs = 6\nlr_multiplier = 1\n\n[scst]\nepochs = 4\nlearning_rate = 1e-5\n"
    )
    expected = TrainingConfig(
        epochs=0, seed=4, encoder_epochs=6, encoder_lr_multiplier=1.0, scst_epochs=4, scst_learning_rate=1e-5
    )
    assert load_settings(file).with_defaults() == expected
    settings = [
        "epochs=0",
        "seed=4",
        "encoder.epochs=6",
        "encoder.lr_multiplier=1",
        "scst.epochs = 4",
        "scst_learning_rate=1e-5",
    ]
    assert load_settings(settings=settings).with_defaults() == expected
    assert load_settings(file, ["scst.epochs=2", "encoder_lr_multiplier=0.5"]).given["scst_epochs"] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[scts]\nepochs = 1\n", "did you mean scst_epochs"),
        ("[scst]\nepochen = 1\n", "did you mean scst_epochs"),
        ("[scst.epochs]\nmost = 1\n", "'scst_epochs_most'|it takes a whole number"),
        ("scst = 3\n", "no setting named 'scst'"),
        ("[[scst]]\nepochs = 1\n", "no setting named 'scst'"),
        ("[encoder]\nepochs = 1.5\n", "encoder_epochs = 1.5: it takes a whole number"),
        ("[encoder]\nlr_multiplier = 2\n", "encoder_lr_multiplier = 2.0: it must be at most"),
    ],
)
def test_a_table_that_does_not_fit_names_the_field(tmp_path, text, words):
    file = tmp_path / "run.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_settings(file)


@given(st.text())
def test_no_text_is_more_than_a_config_error(setting):
    try:
        found = load_settings(settings=[setting])
    except ConfigError:
        return
    assert isinstance(found.with_defaults(), TrainingConfig)


@given(
    st.dictionaries(st.sampled_from([item.name for item in fields(TrainingConfig)]), st.none() | st.booleans() | st.text())
)
def test_values_of_another_type_are_refused(values):
    strings = {item.name for item in fields(TrainingConfig) if item.type is str}
    if any(name not in strings for name in values):
        with pytest.raises(ConfigError):
            config_from_mapping(values)


def test_a_config_survives_its_own_mapping():
    config = load_settings(settings=["dropout=0.25", "decoder=merge"]).with_defaults()
    assert config_from_mapping(configs.to_mapping(config)) == config


# Names that settings and recipes had before

OLD = {
    "minimum_count": 3, "maximum_words": 9, "encoder_share": 0.5, "scst_distinct": 0.25, "beam": 2, "length_power": 0.9,
    "variety": 0.05,
}  # fmt: skip


def test_old_names_of_settings_are_read_from_recipes_settings_and_runs(tmp_path):
    expected = TrainingConfig(
        min_count=3, max_words=9, encoder_lr_multiplier=0.5, scst_distinctiveness=0.25, num_beams=2, length_penalty=0.9,
        common_caption_penalty=0.05,
    )  # fmt: skip
    assert set(OLD_NAMES) == set(OLD)
    assert config_from_mapping(OLD) == expected
    assert load_settings(settings=[f"{name}={value}" for name, value in OLD.items()]).with_defaults() == expected
    file = tmp_path / "old.toml"
    tables = {"encoder_share": "encoder.share", "scst_distinct": "scst.distinct"}  # a dotted key is one of a table
    file.write_text("".join(f"{tables.get(name, name)} = {value}\n" for name, value in OLD.items()))
    assert load_settings(file).with_defaults() == expected


def test_an_old_name_goes_before_the_new_one_in_an_earlier_source(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("min_count = 3\n")
    assert load_settings(file, ["minimum_count=4"]).given == {"min_count": 4}


def test_a_setting_under_both_of_its_names_is_refused():
    with pytest.raises(ConfigError, match="beam is the old name of num_beams"):
        config_from_mapping({"beam": 2, "num_beams": 3})


def test_a_setting_by_itself_and_in_a_table_is_refused(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("scst_epochs = 3\n[scst]\nepochs = 5\n")
    with pytest.raises(ConfigError, match="scst_epochs is set twice"):
        load_settings(file)


def test_only_the_names_of_today_are_written_and_described():
    assert not configs.to_mapping(TrainingConfig()).keys() & OLD_NAMES.keys()
    assert not configs.describe().keys() & OLD_NAMES.keys()


@pytest.mark.parametrize("alias", RECIPE_ALIASES)
def test_a_recipe_is_found_by_the_name_under_which_it_shipped_before(alias, tmp_path, monkeypatch):
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    assert load_settings(Path(alias)) == load_settings(Path(RECIPE_ALIASES[alias]))
