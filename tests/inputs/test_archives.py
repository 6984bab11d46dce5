"""Images in archives: which members are images, what is safe to unpack, and that what is damaged costs itself alone."""

import base64
import gzip
import io
import random
import stat
import zipfile
from functools import partial

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.archives import STRUCTURE, structures, table, tar, zipped
from support.drawing import drawn

from capgen.inputs.archives import LazyImage, archive_stem, images_in
from capgen.inputs.archives.members import MAX_RATIO
from capgen.inputs.archives.parquet import read_images as read_parquet
from capgen.storage.locations import located

PNG, JPEG = drawn(0), drawn(1, "JPEG")


def results(archive):
    """What a reader makes of an archive: names with the number of bytes, or with a status."""
    return [
        (item.key, len(item.read())) if isinstance(item, LazyImage) else (item.path.name, item.status)
        for item in images_in(archive)
    ]


def whole(*names):
    return [(name, len(PNG)) for name in names]


def rewritten(path, change):
    """Replace the bytes of a file by what ``change`` makes of them."""
    path.write_bytes(change(path.read_bytes()))
    return path


MAKERS = {
    "a.tar": tar,
    "a.tar.gz": partial(tar, mode="w:gz"),
    "a.TGZ": partial(tar, mode="w:gz"),
    "a.zip": zipped,
    "a.ZIP": partial(zipped, compression=zipfile.ZIP_DEFLATED),
}


@pytest.fixture(params=MAKERS)
def archive_of(request, tmp_path):
    """A function that writes an archive of one kind."""
    return lambda *members: MAKERS[request.param](tmp_path / request.param, members)


# tar and zip alike


def test_the_images_are_read_in_order(archive_of):
    assert results(archive_of(("b.png", PNG), ("a/c.JPG", JPEG))) == [("b.png", len(PNG)), ("a/c.JPG", len(JPEG))]


def test_what_begins_like_an_image_is_one_whatever_its_name(archive_of):
    archive = archive_of(("0.image", PNG), ("0.img", PNG), ("0.jpg.data", JPEG), ("0.cls", b"7"), ("0", PNG))
    assert results(archive) == [("0.image", len(PNG)), ("0.img", len(PNG)), ("0.jpg.data", len(JPEG)), ("0", len(PNG))]


def test_hidden_files_and_those_in_hidden_folders_are_passed_over(archive_of):
    names = ("._a.png", ".cache/a.png", "__MACOSX/._a.png", "a/.b/c.png", "./a.png", "__MACOSX/a.png")
    assert results(archive_of(*((name, PNG) for name in names))) == whole("./a.png")


def test_a_file_that_is_called_an_image_comes_even_if_it_is_empty(archive_of):
    assert results(archive_of(("a.png", b""), ("b.png", PNG))) == [("a.png", 0), ("b.png", len(PNG))]


def test_an_image_that_is_too_large_is_said_to_be(archive_of, monkeypatch):
    monkeypatch.setattr("capgen.images.MAX_BYTES", 1000)
    assert results(archive_of(("a.png", bytes(1001)), ("b.png", bytes(1000)))) == [("a.png", "too-large"), ("b.png", 1000)]


@pytest.mark.parametrize("name", ["/etc/a.png", "../../a.png", "a\\..\\b.png", "a\nb.png"])
def test_a_hostile_name_is_only_a_name(archive_of, name):
    assert results(archive_of((name, PNG))) == whole(name)


@pytest.mark.parametrize("data", [b"", b"PK", b"\x1f\x8b", b"no archive" * 100, PNG])
@pytest.mark.parametrize("name", MAKERS)
def test_what_is_no_archive_is_unreadable(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert results(tmp_path / name) == [(name, "unreadable")]


def test_an_archive_that_unpacks_to_far_more_than_images_can_be_is_not_read_to_its_end(archive_of, monkeypatch):
    monkeypatch.setattr("capgen.images.MAX_BYTES", 100_000)
    archive = archive_of(*((f"{n}.bmp", bytes(100_000)) for n in range(1000)))
    found = results(archive)
    if archive.stat().st_size * MAX_RATIO > 1000 * 100_000:
        assert found[-1] == ("999.bmp", 100_000)  # it is not compressed
    else:
        assert found[-1] == (archive.name, "too-large")
        assert len(found) < 1000


@given(name=st.sampled_from(list(MAKERS)), seed=st.integers(0, 1 << 32), changes=st.integers(1, 20))
def test_a_damaged_archive_gives_images_and_results_and_no_other_error(tmp_path_factory, name, seed, changes):
    random_state = random.Random(seed)
    archive = MAKERS[name](tmp_path_factory.mktemp("damaged") / name, [(f"{n}.png", drawn(n)) for n in range(3)])
    data = bytearray(archive.read_bytes())
    for _ in range(changes):
        data[random_state.randrange(len(data))] = random_state.randrange(256)
    archive.write_bytes(data[: random_state.choice([len(data), random_state.randrange(len(data))])])
    results(archive)


# compressed tar


def test_whether_a_tar_archive_is_compressed_is_recognised_by_its_content(tmp_path):
    packed = tar(tmp_path / "a.tar", [("a.png", PNG)], "w:gz")
    plain = tar(tmp_path / "a.tar.gz", [("a.png", PNG)])
    assert results(packed) == results(plain) == whole("a.png")


def test_of_a_compressed_archive_that_ends_early_what_comes_before_is_read(tmp_path):
    data = [random.Random(n).randbytes(50_000) for n in range(4)]
    archive = tar(tmp_path / "a.tar.gz", [(f"{n}.png", one) for n, one in enumerate(data)], "w:gz")
    rewritten(archive, lambda packed: packed[: len(packed) * 5 // 8])
    assert results(archive) == [("0.png", 50_000), ("1.png", 50_000), ("a.tar.gz", "unreadable")]


def test_a_compressed_archive_may_be_several_that_were_put_together(tmp_path):
    archive = tar(tmp_path / "a.tar", [("a.png", PNG), ("b.png", PNG)])
    data = archive.read_bytes()
    (tmp_path / "b.tgz").write_bytes(gzip.compress(data[:700]) + gzip.compress(data[700:]))
    assert results(tmp_path / "b.tgz") == whole("a.png", "b.png")


# zip


def test_a_damaged_member_of_a_zip_costs_itself(tmp_path):
    archive = zipped(tmp_path / "a.zip", [("a.png", PNG), ("b.png", JPEG), ("c.png", PNG)])
    rewritten(archive, lambda data: data.replace(JPEG, JPEG[:-1] + b"?"))
    assert results(archive) == [("a.png", len(PNG)), ("b.png", "unreadable"), ("c.png", len(PNG))]


def test_a_damaged_member_that_lzma_has_packed_costs_itself(tmp_path):
    archive = zipped(tmp_path / "a.zip", [("a.png", PNG), ("b.png", JPEG * 9), ("c.png", PNG)], zipfile.ZIP_LZMA)
    with zipfile.ZipFile(archive) as packed:
        offset = packed.getinfo("b.png").header_offset + 60
    rewritten(archive, lambda data: data[:offset] + bytes(40) + data[offset + 40 :])
    assert results(archive) == [("a.png", len(PNG)), ("b.png", "unreadable"), ("c.png", len(PNG))]


def test_an_encrypted_member_is_said_to_be(tmp_path):
    archive = zipped(tmp_path / "a.zip", [("a.png", PNG)])

    def with_flag(data):
        directory = data.index(b"PK\x01\x02")
        return data[:6] + b"\1" + data[7 : directory + 8] + b"\1" + data[directory + 9 :]

    rewritten(archive, with_flag)
    [result] = images_in(archive)
    assert result.reason == "it is encrypted; unpack the archive with its password"


def test_links_in_a_zip_are_passed_over(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("a.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("b.png", PNG)
    assert results(tmp_path / "a.zip") == whole("b.png")


def test_names_in_utf_8_are_read_as_such_even_where_the_zip_does_not_say_so(tmp_path):
    archive = zipped(tmp_path / "a.zip", [("\u00e9t\u00e9.png", PNG)])

    def without_flag(data):
        directory = data.index(b"PK\x01\x02")
        return data[:7] + bytes(1) + data[8 : directory + 9] + bytes(1) + data[directory + 10 :]

    rewritten(archive, without_flag)
    assert results(archive) == whole("\u00e9t\u00e9.png")


def test_a_zip_whose_end_is_missing_says_so(tmp_path):
    archive = rewritten(zipped(tmp_path / "a.zip", [("a.png", PNG)]), lambda data: data[:-30])
    [result] = images_in(archive)
    assert "its end is missing" in result.reason


# tables

DATA = [PNG, JPEG, PNG]
SIZES = list(map(len, DATA))
PATHS = ["a.png", "b.jpg", "c.png"]
COLUMNS = {
    "structure": structures(zip(PATHS, DATA, strict=True)),
    "large structure": structures(zip(PATHS, DATA, strict=True)).cast(
        pyarrow.struct([("bytes", pyarrow.large_binary()), ("path", pyarrow.large_string())])
    ),
    "bytes": pyarrow.array(DATA, pyarrow.binary()),
    "large bytes": pyarrow.array(DATA, pyarrow.large_binary()),
    "view": pyarrow.array(DATA, pyarrow.binary_view()),
    "dictionary": pyarrow.array(DATA, pyarrow.binary()).dictionary_encode(),
    "structure of a dictionary": pyarrow.StructArray.from_arrays(
        [pyarrow.array(DATA, pyarrow.binary()).dictionary_encode(), pyarrow.array(PATHS)], ["bytes", "path"]
    ),
    "lists": pyarrow.array([[one] for one in DATA], pyarrow.list_(pyarrow.binary())),
    "large lists": pyarrow.array([[one] for one in DATA], pyarrow.large_list(pyarrow.binary())),
    "lists of one": pyarrow.array([[one] for one in DATA], pyarrow.list_(pyarrow.binary(), 1)),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_images_are_read_from_every_type_that_arrow_has_for_them(tmp_path, kind):
    found = results(table(tmp_path / "t.parquet", image=COLUMNS[kind]))
    assert [size for _, size in found] == SIZES
    if "structure" in kind:
        assert [name for name, _ in found] == PATHS


def test_bytes_of_one_length_are_read(tmp_path):
    archive = table(tmp_path / "t.parquet", image=pyarrow.array([PNG, PNG], pyarrow.binary(len(PNG))))
    assert results(archive) == whole("0", "1")


@pytest.mark.parametrize("name", ["image", "Image", "images", "img", "image_bytes", "photo"])
def test_the_column_of_images_is_known_by_its_name_or_by_being_the_only_one(tmp_path, name):
    assert results(table(tmp_path / "t.parquet", **{"text": ["one"], name: [PNG]})) == whole("0")


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_images_may_be_texts_in_base64(tmp_path, prefix):
    texts = [prefix + base64.b64encode(PNG).decode(), "?", None]
    archive = table(tmp_path / "t.parquet", image=texts, text=["one", "two", "three"])
    assert results(archive) == [("0", len(PNG)), ("1", "unreadable"), ("2", "unreadable")]


def test_of_several_columns_of_bytes_one_must_be_called_image(tmp_path):
    archive = table(tmp_path / "t.parquet", photo=[PNG], mask=[PNG], text=["one"])
    [result] = images_in(archive)
    assert "it has several columns of bytes, none of them called 'image'" in result.reason
    assert "its columns: photo (binary), mask (binary), text (string)" in result.reason


def test_a_row_may_have_several_images_or_none(tmp_path):
    rows = [[{"bytes": PNG, "path": "a.png"}, {"bytes": PNG, "path": None}], [], None, [{"bytes": PNG, "path": "b.png"}]]
    archive = table(tmp_path / "t.parquet", images=pyarrow.array(rows, pyarrow.list_(STRUCTURE)))
    assert results(archive) == [("a.png", len(PNG)), ("0-1", len(PNG)), ("2", "unreadable"), ("b.png", len(PNG))]


def test_where_only_a_path_is_in_the_table_it_is_named(tmp_path):
    [result] = images_in(table(tmp_path / "t.parquet", image=structures([("photos/a.png", None)])))
    assert result.reason.startswith("its bytes are not in the table, only the path photos/a.png; ")
    assert "`from_file=LIST`" in result.reason


def test_a_table_of_paths_alone_says_what_would_help(tmp_path):
    [result] = images_in(table(tmp_path / "t.parquet", image=["photos/a.png"], text=["a cat"]))
    assert result.status == "unsupported"
    assert "its columns: image (string), text (string); where a table has paths, caption the files" in result.reason


class Counting(io.FileIO):
    """A file that counts the bytes that are read from it."""

    count = 0

    def read(self, size=-1):
        data = super().read(size)
        self.count += len(data)
        return data


def test_a_group_of_rows_is_not_read_into_memory_at_once(tmp_path):
    """What is read before the first image is a small part of a group of many pages."""
    data = [random.Random(n).randbytes(1 << 20) for n in range(40)]
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"image": data}), path, use_dictionary=False, write_batch_size=1)
    assert pyarrow.parquet.ParquetFile(path).num_row_groups == 1
    with Counting(path) as file:
        name, _ = next(read_parquet(file))
        assert name == "0"
        assert file.count < 30 << 20


def test_a_table_whose_pages_do_not_fit_into_memory_says_what_would_help(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise pyarrow.ArrowMemoryError("malloc of size 629145664 failed")  # as it does where memory is limited

    archive = table(tmp_path / "t.parquet", image=[PNG])
    monkeypatch.setattr(pyarrow.parquet.ParquetFile, "iter_batches", fail)
    [result] = images_in(archive)
    assert result.status == "too-large"
    assert result.reason == (
        "from its row 0 on it does not fit into memory; write it anew with row_group_size=100, as pandas and pyarrow call it"
    )


def test_a_damaged_group_of_rows_costs_itself(tmp_path):
    data = [random.Random(n).randbytes(1000) for n in range(6)]
    archive = tmp_path / "t.parquet"
    columns = pyarrow.table({"image": data})
    pyarrow.parquet.write_table(columns, archive, row_group_size=2, use_dictionary=False, compression="zstd")
    metadata = pyarrow.parquet.ParquetFile(archive).metadata
    offset = metadata.row_group(1).column(0).data_page_offset
    rewritten(archive, lambda packed: packed[:offset] + bytes(200) + packed[offset + 200 :])
    assert results(archive) == [(name, 1000) for name in "0145"] + [("t.parquet", "unreadable")]


def test_a_text_that_is_not_utf_8_costs_itself(tmp_path):
    names = pyarrow.array([b"a", b"\xff", b"c"], pyarrow.binary()).view(pyarrow.string())
    archive = table(tmp_path / "t.parquet", image=[PNG] * 3, key=names)
    assert results(archive) == whole("a", "1", "c")


@given(seed=st.integers(0, 1 << 32), changes=st.integers(1, 20))
def test_a_damaged_table_gives_images_and_results_and_no_other_error(tmp_path_factory, seed, changes):
    random_state = random.Random(seed)
    archive = table(tmp_path_factory.mktemp("damaged") / "t.parquet", image=COLUMNS["structure"], text=["a", "b", "c"])
    data = bytearray(archive.read_bytes())
    for _ in range(changes):
        data[random_state.randrange(len(data))] = random_state.randrange(256)
    archive.write_bytes(data)
    results(archive)


# names


@pytest.mark.parametrize(
    ("name", "stem"),
    [("a.tar", "a"), ("a.tar.gz", "a"), ("a.b.TGZ", "a.b"), ("a.zip", "a"), ("s3://b/c/t.parquet", "t"), ("a.gz", "a.gz")],
)
def test_the_stem_of_an_archive_has_none_of_its_endings(name, stem):
    assert archive_stem(located(name)) == stem


@pytest.mark.parametrize("column", [[{"bytes": PNG, "path": 7}], [{"bytes": PNG, "path": b"7.png"}]])
def test_a_path_that_is_no_text_does_not_matter(tmp_path, column):
    assert results(table(tmp_path / "t.parquet", image=column)) == whole("0")


@pytest.mark.parametrize("column", [[[[PNG]]], [{"bytes": [PNG], "path": "1.png"}]])
def test_bytes_that_lie_deeper_than_an_image_can_are_unreadable(tmp_path, column):
    assert [status for _, status in results(table(tmp_path / "t.parquet", image=column))] == ["unreadable"]
