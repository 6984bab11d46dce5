"""A captioner on disk: as a folder and as a zip, whole, damaged and missing."""

import hashlib
import io
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.bundles import CONTENTS, DESCRIPTION, change, contents_of, describe

from capgen.captioner import bundle, catalogue
from capgen.captioner.bundle import Bundle
from capgen.captioner.constraints import ConstraintConfig
from capgen.captioner.vocabulary import SPECIAL
from capgen.errors import BundleError, UnknownNameError

FORMS = ("tiny", "tiny.capgen")


@pytest.fixture(params=FORMS)
def target(request, tmp_path):
    """A captioner as a folder, then as a zip."""
    bundle.write(tmp_path / request.param, DESCRIPTION, CONTENTS)
    return tmp_path / request.param


@pytest.fixture
def folder(tmp_path):
    bundle.write(tmp_path / "tiny", DESCRIPTION, CONTENTS)
    return tmp_path / "tiny"


def opened_whole(target):
    """Open a captioner and check every file of it."""
    Bundle(target).verify()


def packed(target, compression):
    """The bytes of a zip of a captioner, as somebody's packer makes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in contents_of(target).items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_what_was_written_is_read(target):
    found = Bundle(target)
    assert found.description == DESCRIPTION
    assert found.vocabulary.entries == (*SPECIAL, "a", "dog")
    assert {name: found.read(name) for name in CONTENTS} == CONTENTS


def test_an_untouched_captioner_verifies(target):
    opened_whole(target)


def test_the_description_is_readable_json_with_the_hash_of_every_other_file(target):
    text = contents_of(target)[bundle.DESCRIPTION].decode()
    assert "café" in text
    values = json.loads(text)
    assert values["schema"] == bundle.SCHEMA
    assert values["files"] == {name: hashlib.sha256(data).hexdigest() for name, data in CONTENTS.items()}


def test_a_graph_in_a_folder_is_given_as_a_file_to_map(folder):
    assert Bundle(folder).graph(bundle.ENCODER) == folder / bundle.ENCODER


def test_a_graph_in_a_zip_is_given_as_its_bytes(tmp_path):
    bundle.write(tmp_path / "tiny.capgen", DESCRIPTION, CONTENTS)
    assert Bundle(tmp_path / "tiny.capgen").graph(bundle.ENCODER) == CONTENTS[bundle.ENCODER]


def test_an_older_one_is_replaced_whole(target, tmp_path):
    bundle.write(target, DESCRIPTION, {**CONTENTS, "extra": b"of an older one"})
    bundle.write(target, DESCRIPTION, {**CONTENTS, bundle.DECODER: b"newer"})
    assert contents_of(target).keys() == {*CONTENTS, bundle.DESCRIPTION}
    assert Bundle(target).read(bundle.DECODER) == b"newer"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", CONTENTS)
def test_a_changed_byte_is_found_and_its_file_named(target, name):
    data = bytearray(CONTENTS[name])
    data[len(data) // 2] ^= 1
    change(target, name, bytes(data))
    with pytest.raises(BundleError, match=f"is damaged: {name} is not the file") as caught:
        opened_whole(target)
    assert str(target) in str(caught.value)


@pytest.mark.parametrize("name", [*CONTENTS, bundle.DESCRIPTION])
def test_a_missing_file_is_named(target, name):
    change(target, name, None)
    with pytest.raises(BundleError, match=f"{name} cannot be read"):
        opened_whole(target)


@pytest.mark.parametrize("name", [bundle.ENCODER, bundle.DECODER])
def test_a_graph_that_was_changed_is_never_given_out(target, name):
    change(target, name, b"another graph")
    with pytest.raises(BundleError, match=f"is damaged: {name}"):
        Bundle(target).graph(name)


def test_a_graph_that_is_missing_is_named(target):
    change(target, bundle.DECODER, None)
    with pytest.raises(BundleError, match=r"decoder\.tflite cannot be read"):
        Bundle(target).graph(bundle.DECODER)


def test_a_file_that_the_description_does_not_list_is_not_trusted(target):
    change(target, "extra.py", b"print('hello')")
    with pytest.raises(BundleError, match=r"extra\.py is not the file it was written with"):
        Bundle(target).read("extra.py")


@pytest.mark.parametrize("schema", [bundle.SCHEMA + 1, 0, "1", None, True, [1]])
def test_one_of_another_schema_says_so(target, schema):
    describe(target, schema=schema)
    said = re.escape(f"written by another version of capgen (schema {schema}, not {bundle.SCHEMA})")
    with pytest.raises(BundleError, match=said):
        Bundle(target)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe\x00", b"{'schema': 1}"])
def test_a_description_that_is_no_json_says_so(target, data):
    change(target, bundle.DESCRIPTION, data)
    with pytest.raises(BundleError, match=r"bundle\.json is not JSON"):
        Bundle(target)


@pytest.mark.parametrize("data", [b"[]", b"null", b"1", b'"schema"'])
def test_a_description_that_is_no_object_is_refused(target, data):
    change(target, bundle.DESCRIPTION, data)
    with pytest.raises(BundleError, match="written by another version"):
        Bundle(target)


def test_a_description_that_somebody_changed_is_refused(target):
    text = contents_of(target)[bundle.DESCRIPTION]
    change(target, bundle.DESCRIPTION, text.replace(b'"output": "cells"', b'"output": "other"'))
    with pytest.raises(BundleError, match=r"bundle\.json is not as it was written"):
        Bundle(target)


def test_a_folder_that_holds_something_else_is_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(b"precious")
    with pytest.raises(BundleError, match="choose another place"):
        bundle.write(tmp_path / "photos", DESCRIPTION, CONTENTS)
    assert (tmp_path / "photos/a.jpg").read_bytes() == b"precious"


@pytest.mark.parametrize(
    "key",
    [
        "files", "name", "backend", "encoder", "decoder", "preprocessing", "decoding", "constraints", "training", "scores",
    ],
)  # fmt: skip
def test_a_description_without_a_key_names_it(target, key):
    describe(target, **{key: None})
    with pytest.raises(BundleError, match=f"bundle.json lacks '{key}'"):
        Bundle(target)


@pytest.mark.parametrize(
    "values",
    [
        {"files": []},
        {"files": "none"},
        {"files": {bundle.VOCABULARY: "0"}},
        {"decoding": {"beam": 0}},
        {"decoding": {"beam": "five"}},
        {"decoding": {"unheard_of": 1}},
        {"decoding": [1]},
        {"preprocessing": {"unheard_of": 1}},
        {"preprocessing": 3},
        {"preprocessing": {"size": 0, "resample": "BICUBIC"}},
        {"preprocessing": {"size": 1_000_000, "resample": "BICUBIC"}},
        {"preprocessing": {"size": True, "resample": "BICUBIC"}},
        {"preprocessing": {"size": 224.0, "resample": "BICUBIC"}},
        {"preprocessing": {"size": 224, "resample": "__class__"}},
        {"preprocessing": {"size": 224, "resample": ["BICUBIC"]}},
        {"backend": "litert-lstn"},
        {"backend": ["fake"]},
        {"constraints": 1},
    ],
)
def test_a_description_with_values_that_do_not_fit_is_refused(folder, values):
    describe(folder, **values)
    with pytest.raises(BundleError):
        Bundle(folder)


@pytest.mark.parametrize(
    "vocabulary",
    [b"{", b"[]", b"{}", b"null", b'{"words": null}', b'{"words": [], "language": 5}', b'{"words": [], "language": "\\n"}'],
)
def test_a_vocabulary_that_is_none_is_refused(tmp_path, vocabulary):
    bundle.write(tmp_path / "tiny", DESCRIPTION, {**CONTENTS, bundle.VOCABULARY: vocabulary})
    with pytest.raises(BundleError):
        Bundle(tmp_path / "tiny")


@pytest.mark.parametrize("data", [b"", b"garbage", b"PK\x03\x04 garbage" * 100, b"\x00" * 5000])
def test_a_file_that_is_no_zip_is_refused(tmp_path, data):
    (tmp_path / "tiny.capgen").write_bytes(data)
    with pytest.raises(BundleError, match=r"is not a captioner: it is neither a folder nor a \.capgen file"):
        Bundle(tmp_path / "tiny.capgen")


def test_a_compressed_zip_is_read_too(folder, tmp_path):
    (tmp_path / "packed.capgen").write_bytes(packed(folder, zipfile.ZIP_DEFLATED))
    opened_whole(tmp_path / "packed.capgen")


@pytest.mark.slow
@pytest.mark.parametrize(("compression", "bits"), [(zipfile.ZIP_STORED, 0x01), (zipfile.ZIP_DEFLATED, 0xFF)])
def test_any_changed_byte_of_a_zip_is_harmless_or_a_bundle_error(folder, tmp_path, compression, bits):
    target, whole, escaped = tmp_path / "packed.capgen", packed(folder, compression), set()
    for position, byte in enumerate(whole):
        target.write_bytes(whole[:position] + bytes([byte ^ bits]) + whole[position + 1 :])
        try:
            opened_whole(target)
        except BundleError:
            continue
        except Exception as error:
            escaped.add(type(error).__name__)
    assert not escaped


def test_a_zip_cut_short_anywhere_is_a_bundle_error(tmp_path):
    target = tmp_path / "tiny.capgen"
    bundle.write(target, DESCRIPTION, CONTENTS)
    whole = target.read_bytes()
    for length in range(0, len(whole), 7):
        target.write_bytes(whole[:length])
        with pytest.raises(BundleError):
            opened_whole(target)


def test_a_captioner_is_found_by_its_name_in_the_data_folder(user_folders):
    bundle.write(user_folders / "data/models/tiny", DESCRIPTION, CONTENTS)
    assert catalogue.find("tiny") == user_folders / "data/models/tiny"
    assert "tiny" in catalogue.names()


def test_a_captioner_is_found_by_its_path(target, monkeypatch):
    assert catalogue.find(target) == target
    assert catalogue.find(str(target)) == target
    monkeypatch.chdir(target.parent)
    assert catalogue.find(target.name) == Path(target.name)


def test_an_unknown_name_offers_the_nearest(user_folders):
    for name in ("beach-photos", "mountains"):
        bundle.write(user_folders / "data/models" / name, DESCRIPTION, CONTENTS)
    with pytest.raises(UnknownNameError, match="no captioner named 'beach-photo'; did you mean beach-photos") as caught:
        catalogue.find("beach-photo")
    assert caught.value.nearest == ["beach-photos"]


def test_a_folder_without_a_description_is_no_captioner(user_folders):
    (user_folders / "data/models/empty").mkdir(parents=True)
    assert "empty" not in catalogue.names()
    with pytest.raises(UnknownNameError):
        catalogue.find("empty")


@pytest.mark.parametrize("path", ["nowhere/tiny", "nowhere.capgen", "./tiny", "~/nowhere.capgen"])
def test_a_path_that_does_not_exist_says_so(user_folders, monkeypatch, path):
    monkeypatch.chdir(user_folders)
    monkeypatch.setenv("HOME", str(user_folders))
    with pytest.raises(BundleError, match="there is no captioner at"):
        catalogue.find(path)


@pytest.mark.parametrize("name", ["~nobody-of-that-name/tiny", "x" * 300, "x" * 300 + ".capgen"])
def test_a_name_that_can_be_no_file_is_refused_like_any_other(user_folders, name):
    with pytest.raises((BundleError, UnknownNameError)):
        catalogue.find(name)


@pytest.mark.parametrize("word", ["\x1b[31mred", "two\nlines", 5, None])
def test_a_vocabulary_whose_words_no_terminal_should_get_is_refused(tmp_path, word):
    words = json.dumps({"words": [*SPECIAL, "a", word]}).encode()
    bundle.write(tmp_path / "m", DESCRIPTION, {**CONTENTS, bundle.VOCABULARY: words})
    with pytest.raises(BundleError, match="not as capgen writes it"):
        Bundle(tmp_path / "m")


GUIDED = replace(DESCRIPTION, decoding=replace(DESCRIPTION.decoding, guidance=1.2))


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_the_average_image_of_a_captioner_that_is_guided_is_read(tmp_path):
    average = np.arange(6, dtype=np.float16).reshape(2, 3)
    bundle.write(tmp_path / "tiny", GUIDED, {**CONTENTS, bundle.AVERAGE: npy(average)})
    found = Bundle(tmp_path / "tiny")
    assert found.description.decoding.guidance == 1.2
    assert (found.average.dtype, found.average.tolist()) == (np.float32, average.tolist())


@pytest.mark.parametrize(
    "data",
    [b"", b"no array", npy(np.zeros(3)), npy(np.full((2, 2), np.nan)), npy(np.array([["a"]])), npy(np.zeros((2, 2)))[:-3]],
)
def test_an_average_image_that_is_none_says_so(tmp_path, data):
    bundle.write(tmp_path / "tiny", GUIDED, {**CONTENTS, bundle.AVERAGE: data})
    with pytest.raises(BundleError, match=r"average\.npy holds no features"):
        _ = Bundle(tmp_path / "tiny").average


PENALISED = replace(DESCRIPTION, decoding=replace(DESCRIPTION.decoding, common_caption_penalty=0.1))


def test_the_common_captions_of_a_captioner_with_a_common_caption_penalty_are_read(tmp_path):
    for target in (tmp_path / "tiny", tmp_path / "tiny.capgen"):
        bundle.write(target, PENALISED, {**CONTENTS, bundle.COMMON: b"[[7, 4, 3], [2, 4]]"})
        found = Bundle(target)
        assert found.description.decoding.common_caption_penalty == 0.1
        assert found.common == {(4, 3): 7, (4,): 2}


@pytest.mark.parametrize(
    ("description", "missing"),
    [(GUIDED, r"guidance without average\.npy"), (PENALISED, r"common-caption penalty without common\.json")],
)
def test_a_search_without_the_file_that_it_needs_is_refused(tmp_path, description, missing):
    bundle.write(tmp_path / "tiny", description, CONTENTS)
    with pytest.raises(BundleError, match=missing):
        Bundle(tmp_path / "tiny")


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"7",
        b"[7]",
        b"[[]]",
        b"[[0, 4]]",
        b"[[-1, 4]]",
        b"[[1.5, 4]]",
        b'[["a", 4]]',
        b'[[2, "a"]]',
        b"[[2, [4]]]",
        b"{}",
        b'""',
        b"[[2]]",
        b"[[2, 4.7]]",
        b"[[2, true]]",
        b"[[2, -5]]",
        b"[[2, 1000000]]",
        b"[[1e999, 4]]",
        b"[[2, Infinity]]",
    ],
)
def test_common_captions_that_are_none_say_so(tmp_path, data):
    bundle.write(tmp_path / "tiny", PENALISED, {**CONTENTS, bundle.COMMON: data})
    with pytest.raises(BundleError, match=r"common\.json"):
        _ = Bundle(tmp_path / "tiny").common


def test_an_average_image_that_would_have_to_be_unpickled_is_not_read(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.array([[print]], dtype=object), allow_pickle=True)
    bundle.write(tmp_path / "tiny", GUIDED, {**CONTENTS, bundle.AVERAGE: buffer.getvalue()})
    with pytest.raises(BundleError, match="holds no features"):
        _ = Bundle(tmp_path / "tiny").average


# Schema 1, which captioners of earlier versions have


def as_schema1(path):
    """Write the description of a captioner as capgen wrote it before schema 2."""
    written = json.loads(contents_of(path)[bundle.DESCRIPTION])
    for name in ("backend", "constraints", "checksum"):
        del written[name]
    earlier = {"num_beams": "beam", "num_captions": "count", "length_penalty": "length_power", "max_words": "maximum_words"}
    written["schema"] = 1
    written["encoder"]["key"] = written["encoder"].pop("fingerprint")
    written["decoding"] = {earlier[name]: value for name, value in written["decoding"].items()}
    written["seal"] = bundle.checksum(written)
    change(path, bundle.DESCRIPTION, json.dumps(written).encode())


def test_one_of_schema_1_says_the_same_as_one_of_today(target):
    as_schema1(target)
    assert b"num_beams" not in contents_of(target)[bundle.DESCRIPTION]
    found = Bundle(target)
    found.verify()
    assert found.description == DESCRIPTION


def test_other_defaults_do_not_change_what_one_of_schema_1_says(target, monkeypatch):
    as_schema1(target)
    said = Bundle(target).description
    other = ConstraintConfig(slot_bonus=1.0, repeat_penalty=-1.0, min_class_probability=0.5, plurals=(("dog", "hounds"),))
    monkeypatch.setattr(ConstraintConfig, "default", lambda: other)
    found = Bundle(target).description
    assert (found.constraints, found.backend) == (said.constraints, "litert-lstm")
    assert found.constraints != other


@pytest.mark.parametrize("schema", [1, 2])
def test_scores_of_earlier_versions_are_read_under_their_names_of_today(target, schema):
    description = replace(DESCRIPTION, scores={"dev": {"words used": 5, "sharing": 0.5, "CIDEr-D": 1.0}, "x": 3})
    bundle.write(target, description, CONTENTS)
    if schema == 1:
        as_schema1(target)
    current = {"vocabulary size used": 5, "share of duplicate captions": 0.5, "CIDEr-D": 1.0}
    assert Bundle(target).description.scores == {"dev": current, "x": 3}


def test_one_of_schema_1_is_handed_on_as_it_was_written(target):
    as_schema1(target)
    assert Bundle(target).contents() == contents_of(target)


def test_one_of_schema_1_that_somebody_changed_is_refused(target):
    as_schema1(target)
    text = contents_of(target)[bundle.DESCRIPTION]
    change(target, bundle.DESCRIPTION, text.replace(b'"output": "cells"', b'"output": "other"'))
    with pytest.raises(BundleError, match=r"bundle\.json is not as it was written"):
        Bundle(target)


@pytest.mark.parametrize("key", ["encoder", "decoding", "files", "scores"])
def test_one_of_schema_1_without_a_key_names_it(target, key):
    as_schema1(target)
    written = json.loads(contents_of(target)[bundle.DESCRIPTION])
    kept = {name: value for name, value in written.items() if name not in (key, "seal")}
    change(target, bundle.DESCRIPTION, json.dumps({**kept, "seal": bundle.checksum(kept)}).encode())
    with pytest.raises(BundleError, match=f"bundle.json lacks '{key}'"):
        Bundle(target)


@pytest.mark.parametrize("key", ["encoder", "decoding"])
@pytest.mark.parametrize("value", [[1], "none", 3, None])
def test_one_of_schema_1_with_values_of_another_kind_is_refused(target, key, value):
    as_schema1(target)
    written = {**json.loads(contents_of(target)[bundle.DESCRIPTION]), key: value}
    del written["seal"]
    change(target, bundle.DESCRIPTION, json.dumps({**written, "seal": bundle.checksum(written)}).encode())
    with pytest.raises(BundleError, match="not as capgen writes it"):
        Bundle(target)


# Names


def test_the_captioner_inside_the_package_is_found_by_its_earlier_name(user_folders):
    assert catalogue.find("everyday") == catalogue.find("photo-en-v1") == catalogue.SHIPPED / "photo-en-v1"
    assert catalogue.names() == ["photo-en-v1"]


def test_a_captioner_of_yours_goes_before_an_earlier_name_of_one_that_ships(user_folders):
    bundle.write(user_folders / "data/models/everyday", DESCRIPTION, CONTENTS)
    assert catalogue.find("everyday") == user_folders / "data/models/everyday"


def test_a_default_that_was_chosen_under_an_earlier_name_is_still_the_default(user_folders):
    (user_folders / "data").mkdir(exist_ok=True)
    (user_folders / "data/default-captioner").write_text("everyday\n")
    assert catalogue.find(None) == catalogue.SHIPPED / "photo-en-v1"
