"""What every form of predictions does alike; a form that is added to the registry runs through the same tests."""

import pytest
from support.predictions import FIRST, SAMPLES, SECOND

from capgen.errors import DataError
from capgen.evaluation import predictions
from capgen.evaluation.predictions import FORMS
from capgen.evaluation.predictions.form import Source
from capgen.evaluation.references import Reference, Split

SPLIT = Split("test", [Reference(name, None, ("a red circle", "a square")) for name in ("1.png", "2.png")], [])


@pytest.fixture(params=list(FORMS))
def name(request):
    return request.param


@pytest.fixture
def sample(name):
    return SAMPLES[name]


def test_every_form_has_a_sample():
    assert list(SAMPLES) == list(FORMS)


def test_no_form_that_is_tried_before_takes_it(tmp_path, name, sample):
    path = sample.write(tmp_path)
    tried = [one for one in FORMS if FORMS[one].takes_folders == path.is_dir()]
    assert next(one for one in tried if FORMS[one].rows(Source(path)) is not None) == name


def test_its_captions_are_read(tmp_path, sample):
    found = predictions.read(sample.write(tmp_path), SPLIT)
    assert found.captions == {"1.png": FIRST, "2.png": SECOND}
    assert not found.problems
    assert found.name == sample.name


def test_a_damaged_row_costs_that_row_is_named_and_refused_unless_allowed(tmp_path, sample):
    path = sample.write(tmp_path, damaged=True)
    with pytest.raises(DataError, match=r"1 of 2 (images have no prediction|predictions is without)") as error:
        predictions.read(path, SPLIT)
    assert "\n" not in str(error.value)
    found = predictions.read(path, SPLIT, allow_missing=True)
    assert found.captions == {"1.png": FIRST}
    assert len(found.problems) >= 1


def test_a_byte_order_mark_and_line_ends_of_windows_make_no_difference(tmp_path, name, sample):
    if name in {"parquet", "tar"}:
        pytest.skip("it is not text")
    path = sample.write(tmp_path)
    for file in path.iterdir() if path.is_dir() else [path]:
        file.write_bytes("\ufeff".encode() + file.read_bytes().replace(b"\n", b"\r\n"))
    assert predictions.read(path, SPLIT).captions == {"1.png": FIRST, "2.png": SECOND}


def test_a_source_in_no_form_is_refused_with_those_that_are_known(tmp_path):
    (tmp_path / "notes").write_text("remember the milk\n")
    (tmp_path / "empty").mkdir()
    for path, is_folder in ((tmp_path / "notes", False), (tmp_path / "empty", True)):
        with pytest.raises(DataError) as error:
            predictions.read(path, SPLIT)
        known = [FORMS[one].example for one in FORMS if FORMS[one].takes_folders == is_folder]
        assert all(example in str(error.value) for example in known)
        assert "\n" not in str(error.value)
