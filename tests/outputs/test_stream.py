"""Output files: what a record carries, how runs go on with each other's files, what a cut or a full disk leaves, merging."""

import codecs
import errno
import io
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from support.examples import examples

from capgen.captioner.results import Caption, Result, SkipReason
from capgen.errors import DataError, StorageError, UsageError
from capgen.inputs.selection import Found
from capgen.outputs import FORMATS, format_of
from capgen.outputs.choices import Existing
from capgen.outputs.manifest import Manifest, Record, key
from capgen.outputs.merging import merge
from capgen.outputs.policy import OverwriteGuard
from capgen.outputs.standard_output import StandardOutput
from capgen.outputs.stream import CaptionFile, CaptionFileReader
from capgen.storage import platform

HEADER = b"path,caption,confidence,rank\n"
FOREIGN = os.fsdecode(b"caf\xe9.jpg")
"""A name in Latin-1, as old archives hold them: no UTF-8."""

MEAN = [b"a", b"n", b"t", b" ", b"/", b"\n", b"\r", b"\t", b'"', b"\\", b",", b"\xe9", b"\xff", "é".encode(), "北".encode()]
"""Pieces that some format has to escape or to quote."""

texts = st.one_of(st.lists(st.sampled_from(MEAN)).map(b"".join), st.binary(), st.text().map(str.encode)).map(os.fsdecode)
paths = texts.filter(lambda text: text and "\0" not in text).map(Path)
LINES = ["text", "jsonl", "csv"]
"""Formats of lines."""

formats = pytest.mark.parametrize("name", LINES)


def captioned(path, *captions):
    """A result with its captions, the best first."""
    return Result(Path(path), "captioned", tuple(Caption(text, 0.25 - 0.01 * n, -3.5) for n, text in enumerate(captions)))


def failed(path, status="unreadable"):
    return Result(Path(path), status, reason="its data is damaged")


def record_of(form, result):
    return b"".join(line.encode("utf-8", "surrogateescape") + b"\n" for line in form.lines(result))


class Desk:
    """An output file of a format, and the manifest that remembers it."""

    def __init__(self, folder, name):
        self.path, self.form, self.manifest = folder / f"out.{name}", FORMATS[name](several=True), Manifest(folder / "data")

    def lose(self, data, last):
        """Leave what a disk that went away would: a part of ``last``, and a run that has not ended."""
        self.path.write_bytes(data)
        self.manifest.put(key(self.path), Record("", line=record_of(self.form, last)))

    def open(self, existing="skip", *, force=False):
        guard = OverwriteGuard(self.manifest, Existing(existing), force=force)
        return CaptionFile(self.path, self.form, guard)

    def run(self, *results, existing="skip", force=False):
        """Do what a run does with results; return those that were written."""
        output = self.open(existing, force=force)
        written = put(output, results)
        output.close()
        return written

    def killed(self, *results, existing="skip", force=False):
        """Do it without the end."""
        output = self.open(existing, force=force)
        put(output, results)
        output._file.close()

    @property
    def data(self):
        return self.path.read_bytes()

    def edit(self, old, new):
        """Change the file as a person does in an editor."""
        assert self.data.count(old.encode()) >= 1
        self.path.write_bytes(self.data.replace(old.encode(), new.encode()))

    def records(self):
        """All that it holds, as paths and captions."""
        found, record = [], b""
        for line in io.BytesIO(self.data):
            record += line
            if self.form.is_whole(record):
                found += [parsed] if (parsed := self.form.parse(record)) else []
                record = b""
        assert record == b""
        return found


def item(path):
    """An image as a job finds it."""
    return Found(Path(path), Path())


def put(output, results):
    return [result for result in results if output.write(item(result.path), result) is None]


@pytest.fixture(params=LINES)
def desk(request, tmp_path):
    """A desk for each format."""
    made = Desk(tmp_path, request.param)
    yield made
    made.manifest.close()


@pytest.fixture
def desk_of(tmp_path):
    """A desk for the format that is named."""
    made = []

    def make(name):
        made.append(Desk(tmp_path, name))
        return made[-1]

    yield make
    for one in made:
        one.manifest.close()


# Records


@formats
@given(path=paths, caption=texts)
@example(path=Path("a\nb.jpg"), caption="a dog")
@example(path=Path("a\rb.jpg"), caption="a dog")
@example(path=Path("a\\nb.jpg"), caption="a\\tb")
@example(path=Path('a "b", c.jpg'), caption='"a" dog, ')
@example(path=Path(FOREIGN), caption="")
def test_a_record_gives_back_its_path_and_its_caption(name, path, caption):
    form = FORMATS[name](several=True)
    assert form.parse(record_of(form, captioned(path, caption))) == (str(path), caption or None)


@formats
@given(path=paths, captions=st.lists(texts, min_size=1, max_size=3))
def test_each_line_of_alternatives_gives_back_its_own(name, path, captions):
    form = FORMATS[name](several=True)
    lines = form.lines(captioned(path, *captions))
    found = [form.parse(line.encode("utf-8", "surrogateescape") + b"\n") for line in lines]
    assert found == [(str(path), caption or None) for caption in captions][: len(lines)]
    assert len(lines) == (1 if name == "jsonl" else len(captions))


@formats
@given(path=paths, caption=texts)
def test_a_record_is_whole_with_its_last_line_and_not_before(name, path, caption):
    form = FORMATS[name](several=True)
    record = record_of(form, captioned(path, caption))
    lines = list(io.BytesIO(record))
    read = [b"".join(lines[: count + 1]) for count in range(len(lines))]
    assert [form.is_whole(part) for part in read] == [part == record for part in read]
    assert not form.is_whole(record[:-1])


@formats
@given(record=st.binary())
@example(record=b'{"path": "\\ud800", "status": "captioned", "caption": "a dog"}\n')
@example(record=b'{"path": "a.jpg", "status": "captioned", "caption": "\\ud800"}\n')
@example(record=b'{"path": 1, "status": "captioned", "caption": "a dog"}\n')
@example(record=b'{"path": "a.jpg", "status": "captioned", "caption": ["a dog"]}\n')
@example(record=b"[" * 100_000)
@example(record=b'"' + b"a" * 200_000 + b'",b,c\n')
def test_whatever_a_line_holds_it_is_a_record_that_can_be_known_or_none(name, record):
    parsed = FORMATS[name](several=True).parse(record)
    if parsed is not None:
        path, caption = parsed
        assert isinstance(os.fsencode(path), bytes)
        assert caption is None or (caption and os.fsencode(caption))


@formats
def test_a_record_that_an_editor_gave_a_carriage_return_is_the_same(name):
    form = FORMATS[name](several=True)
    record = record_of(form, captioned("dog.jpg", "a dog, running"))
    assert form.parse(record[:-1] + b"\r\n") == ("dog.jpg", "a dog, running")


@pytest.mark.parametrize("status", ["unreadable", "low-confidence", "skipped", "write-failed"])
def test_only_json_lines_have_a_record_of_a_file_without_a_caption_and_it_has_none(status):
    captions = captioned("a.jpg", "a dog").captions if status in ("low-confidence", "write-failed") else ()
    result = Result(Path("a.jpg"), status, captions, "a reason")
    assert [FORMATS[name](several=True).lines(result) for name in ("text", "csv")] == [[], []]
    jsonl = FORMATS["jsonl"](several=True)
    assert jsonl.parse(record_of(jsonl, result)) == ("a.jpg", None)


def test_a_csv_row_is_path_caption_confidence_and_rank():
    form = FORMATS["csv"](several=True)
    assert form.lines(captioned("dog.jpg", "a dog", "dogs")) == ["dog.jpg,a dog,0.250,1", "dog.jpg,dogs,0.240,2"]


def test_a_csv_row_is_quoted_only_where_it_has_to_be():
    form = FORMATS["csv"](several=True)
    assert form.lines(captioned('a "b".jpg', "red, blue")) == ['"a ""b"".jpg","red, blue",0.250,1']


def test_a_csv_header_is_no_record():
    form = FORMATS["csv"](several=True)
    assert form.header.encode() + b"\n" == HEADER
    assert form.parse(HEADER) is None


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("a.jsonl", None, "jsonl"),
        ("a.CSV", None, "csv"),
        ("a.txt", None, "text"),
        ("a", None, "text"),
        ("a.csv", "csv", "csv"),
        ("a.txt", "jsonl", "jsonl"),
    ],
)
def test_the_format_of_a_file_is_the_one_named_or_what_its_ending_says(path, name, kind):
    assert type(format_of(Path(path), name)) is type(FORMATS[kind](several=True))


# Runs that go on with a file


def test_a_second_run_writes_only_what_is_not_there(desk):
    desk.run(captioned("a.jpg", "a dog"), captioned("b.jpg", "a cat"))
    before = desk.data
    assert desk.run(captioned("a.jpg", "new"), captioned("b.jpg", "new")) == []
    assert desk.data == before
    desk.run(captioned("a.jpg", "new"), captioned("c.jpg", "a bird"))
    assert desk.data == before + record_of(desk.form, captioned("c.jpg", "a bird"))


def test_a_byte_order_mark_that_an_editor_put_before_the_first_record_is_no_part_of_it(desk):
    desk.run(captioned("a.jpg", "a dog"), captioned("b.jpg", "a cat"))
    desk.path.write_bytes(codecs.BOM_UTF8 + desk.data)
    assert desk.run(captioned("a.jpg", "new"), captioned("b.jpg", "new")) == []
    assert len(desk.run(captioned("a.jpg", "new"), existing="overwrite")) == 1
    assert desk.data.startswith(codecs.BOM_UTF8)
    desk.path.write_bytes(desk.data.removeprefix(codecs.BOM_UTF8))
    assert dict(desk.records()) == {"a.jpg": "new", "b.jpg": "a cat"}


def test_a_line_of_a_person_without_a_status_is_a_caption(desk_of):
    desk = desk_of("jsonl")
    desk.path.write_text('{"path": "a.jpg", "caption": "my words"}\n')
    assert desk.run(captioned("a.jpg", "new")) == []
    assert desk.path.read_text().count("\n") == 1


def test_an_image_given_twice_has_one_record(desk):
    desk.run(captioned("a.jpg", "a dog"), captioned("a.jpg", "a dog"))
    assert desk.records() == [("a.jpg", "a dog")]


def test_records_are_in_the_file_as_soon_as_they_are_written(desk):
    output = desk.open()
    output.write(item("a.jpg"), captioned("a.jpg", "a dog"))
    assert desk.records() == [("a.jpg", "a dog")]
    output.close()


def test_overwriting_leaves_one_record_and_all_others_as_they_were(desk):
    desk.run(captioned("a.jpg", "a dog"), captioned("b.jpg", "a cat"), captioned("c.jpg", "a bird"))
    before = desk.data
    desk.run(captioned("b.jpg", "two cats"), existing="overwrite")
    old, new = (record_of(desk.form, captioned("b.jpg", text)) for text in ("a cat", "two cats"))
    assert desk.data == before.replace(old, b"") + new


@pytest.mark.parametrize(("existing", "text"), [("append", "pets, a cat"), ("prepend", "a cat, pets")])
def test_a_caption_of_others_is_added_to_once(desk, existing, text):
    desk.path.write_bytes(record_of(desk.form, captioned("a.jpg", "pets")))
    for _ in range(3):
        desk.run(captioned("a.jpg", "a cat"), existing=existing)
        assert desk.records() == [("a.jpg", text)]


@pytest.mark.parametrize("existing", ["append", "prepend"])
def test_capgens_own_caption_is_not_added_to(desk, existing):
    desk.run(captioned("a.jpg", "a cat"))
    desk.run(captioned("a.jpg", "a dog"), existing=existing)
    assert desk.records() == [("a.jpg", "a cat")]


@pytest.mark.parametrize("existing", ["append", "prepend", "overwrite"])
def test_where_there_is_no_caption_every_policy_writes_it(desk, existing):
    desk.run(captioned("a.jpg", "a cat"), existing=existing)
    assert desk.records() == [("a.jpg", "a cat")]


@pytest.mark.parametrize("existing", ["skip", "overwrite", "append", "prepend"])
def test_an_edited_caption_is_never_replaced_without_force(desk, existing):
    desk.run(captioned("a.jpg", "a dog"), captioned("b.jpg", "a cat"))
    desk.edit("a dog", "my dog")
    for _ in range(2):
        desk.run(captioned("a.jpg", "new"), existing=existing)
        assert ("a.jpg", "my dog") in desk.records()


def test_an_edited_caption_is_replaced_with_force(desk):
    desk.run(captioned("a.jpg", "a dog"))
    desk.edit("a dog", "my dog")
    desk.run(captioned("a.jpg", "new"), existing="overwrite", force=True)
    assert desk.records() == [("a.jpg", "new")]


def test_a_reason_is_given_for_what_is_left():
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder), "text")
        desk.run(captioned("a.jpg", "a dog"))
        desk.edit("a dog", "my dog")
        output = desk.open("overwrite")
        assert output.skip_reason(item(Path("a.jpg"))) is SkipReason.CHANGED_BY_HAND
        assert output.skip_reason(item(Path("b.jpg"))) is None
        output.close()
        desk.manifest.close()


def test_a_line_that_a_person_took_out_is_written_again(desk):
    desk.run(captioned("a.jpg", "a dog"), captioned("b.jpg", "a cat"))
    desk.path.write_bytes(desk.data.replace(record_of(desk.form, captioned("a.jpg", "a dog")), b""))
    desk.run(captioned("a.jpg", "a dog"), captioned("b.jpg", "a cat"))
    assert sorted(desk.records()) == [("a.jpg", "a dog"), ("b.jpg", "a cat")]


def test_lines_that_are_no_records_stay_where_they_are(desk):
    desk.run(captioned("a.jpg", "a dog"))
    notes = "# a note\n\n\u00e9\n".encode() + b"caf\xe9\n"
    desk.path.write_bytes(notes + desk.data + notes)
    desk.run(captioned("a.jpg", "two dogs"), captioned("b.jpg", "a cat"), existing="overwrite")
    assert desk.data.startswith(notes)
    assert notes + record_of(desk.form, captioned("a.jpg", "two dogs")) in desk.data


@pytest.mark.parametrize("existing", ["overwrite", "append", "prepend"])
def test_alternatives_are_replaced_together(desk, existing):
    desk.path.write_bytes(record_of(desk.form, captioned("a.jpg", "x", "y", "z")))
    desk.run(captioned("b.jpg", "a cat"))
    desk.run(captioned("a.jpg", "a dog", "a pup"), existing=existing)
    first = {"overwrite": "a dog", "append": "x, a dog", "prepend": "a dog, x"}[existing]
    assert desk.data.endswith(
        record_of(desk.form, captioned("b.jpg", "a cat")) + record_of(desk.form, captioned("a.jpg", first, "a pup"))
    )
    assert desk.records()[0] == ("b.jpg", "a cat")


RUNS = st.lists(
    st.tuples(
        st.sampled_from(["skip", "overwrite", "append", "prepend"]),
        st.booleans(),
        st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["a dog", "a cat, asleep", 'a "bird"', "x\ty"])), max_size=5),
    ),
    max_size=5,
)


def expected(captions, existing, path, text):
    """What a run does to the captions that are all capgen's own, written plainly."""
    old = captions.get(path)
    if old is None or existing == "overwrite":
        return text
    return old


@formats
@settings(max_examples=examples(60), deadline=None)
@given(names=st.lists(paths, min_size=4, max_size=4, unique=True), runs=RUNS, count=st.integers(1, 3))
def test_after_any_runs_every_path_has_one_record_with_the_caption_that_is_due(name, names, runs, count):
    with tempfile.TemporaryDirectory() as folder:
        desk, captions = Desk(Path(folder), name), {}
        for existing, force, images in runs:
            if existing == "skip" and force:
                continue
            for which, text in images:
                captions[names[which]] = expected(captions, existing, names[which], text)
            others = [f"other {n}" for n in range(count - 1)]
            desk.run(*(captioned(names[which], text, *others) for which, text in images), existing=existing, force=force)
            found = desk.records()
            assert len(found) == len(captions) * (1 if name == "jsonl" else count)
            assert {Path(path): text for path, text in reversed(found)} == captions
        desk.manifest.close()


# Files that a spreadsheet has saved


@pytest.mark.parametrize("delimiter", [";", "\t"])
@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
def test_a_spreadsheets_file_is_read_and_added_to_with_its_own_delimiter(desk_of, delimiter, line_end):
    desk, form = desk_of("csv"), FORMATS["csv"](several=True)
    header = delimiter.join(("path", "caption", "confidence", "rank"))
    rows = [
        header,
        delimiter.join(("a.jpg", "a person's words, two", "1,000", "1")),
        f'b.jpg{delimiter}"x{delimiter}y\nz"{delimiter}1{delimiter}1',
    ]
    desk.path.write_bytes(codecs.BOM_UTF8 + "".join(row + line_end for row in rows).encode())
    before = desk.data
    assert desk.run(captioned("a.jpg", "new"), captioned("b.jpg", "new")) == []
    assert desk.data == before
    assert len(desk.run(captioned("c.jpg", f"one{delimiter}two, three"))) == 1
    assert desk.data == before + f'c.jpg{delimiter}"one{delimiter}two, three"{delimiter}0.250{delimiter}1{line_end}'.encode()
    desk.run(captioned("a.jpg", "new"), existing="append")
    assert desk.data.startswith(codecs.BOM_UTF8)
    desk.path.write_bytes(desk.data.removeprefix(codecs.BOM_UTF8))
    desk.form = form.as_in(header.encode())
    assert dict(desk.records()) == {
        "a.jpg": "a person's words, two, new", "b.jpg": f"x{delimiter}y\nz", "c.jpg": f"one{delimiter}two, three"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["text", "jsonl"])
def test_a_file_keeps_its_line_ends_however_long_its_first_line_is(desk_of, name):
    desk = desk_of(name)
    before = record_of(desk.form, captioned("a.jpg", "words " * 20_000)).replace(b"\n", b"\r\n")
    desk.path.write_bytes(before)
    desk.run(captioned("b.jpg", "a dog"))
    assert desk.data == before + record_of(desk.form, captioned("b.jpg", "a dog")).replace(b"\n", b"\r\n")


def test_a_file_that_is_removed_while_it_is_opened_is_made_anew(desk, monkeypatch):
    real, opened = platform.lock_file, []

    def lock(descriptor, **options):
        real(descriptor, **options)
        if not opened and os.path.samestat(os.fstat(descriptor), desk.path.stat()):
            opened.append(desk.path.unlink())

    monkeypatch.setattr(platform, "lock_file", lock)
    desk.run(captioned("a.jpg", "a dog"))
    assert opened
    assert desk.records() == [("a.jpg", "a dog")]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_is_named_and_left(desk, encoding):
    data = f"\ufeff{desk.form.header}\n".encode(encoding)
    desk.path.write_bytes(data)
    for open_file in (desk.open, lambda: CaptionFileReader(desk.path, desk.form, OverwriteGuard(desk.manifest))):
        with pytest.raises(StorageError, match="is in UTF-16; save it as UTF-8"):
            open_file()
    assert desk.data == data


# Failures


def test_a_failed_image_is_tried_again_and_its_line_replaced(desk_of):
    desk = desk_of("jsonl")
    desk.run(failed("a.jpg"), captioned("b.jpg", "a cat"))
    assert desk.records() == [("a.jpg", None), ("b.jpg", "a cat")]
    desk.run(failed("a.jpg"), captioned("b.jpg", "new"))
    assert desk.records() == [("b.jpg", "a cat"), ("a.jpg", None)]
    desk.run(captioned("a.jpg", "a dog"))
    assert desk.records() == [("b.jpg", "a cat"), ("a.jpg", "a dog")]


@pytest.mark.parametrize("name", ["text", "csv"])
def test_a_failed_image_has_no_line_in_text_and_csv_and_is_tried_again(desk_of, name):
    desk = desk_of(name)
    desk.run(failed("a.jpg"))
    assert desk.records() == []
    desk.run(captioned("a.jpg", "a dog"))
    assert desk.records() == [("a.jpg", "a dog")]


@pytest.mark.parametrize("existing", ["overwrite", "append", "prepend"])
@pytest.mark.parametrize("status", ["unreadable", "missing", "low-confidence", "write-failed"])
def test_a_failure_never_takes_a_caption_away(desk, existing, status):
    desk.path.write_bytes(record_of(desk.form, captioned("a.jpg", "my dog")))
    before = desk.data
    captions = captioned("a.jpg", "a cat").captions if status in ("low-confidence", "write-failed") else ()
    desk.run(Result(Path("a.jpg"), status, captions, "a reason"), existing=existing)
    assert desk.data == before


# The header


def test_a_csv_has_its_header_once(desk_of):
    desk = desk_of("csv")
    desk.run(captioned("a.jpg", "a dog"))
    desk.run(captioned("b.jpg", "a cat"))
    desk.run(captioned("a.jpg", "dogs"), existing="overwrite")
    assert desk.data == HEADER + b"b.jpg,a cat,0.250,1\na.jpg,dogs,0.250,1\n"


def test_a_csv_from_before_there_were_ranks_goes_on_without_them(desk_of):
    desk = desk_of("csv")
    for first in (b"path,caption,confidence\n", b"b.jpg,a cat,0.250\n"):
        desk.path.write_bytes(first)
        desk.run(captioned("a.jpg", "a dog", "dogs"))
        assert desk.data == first + b"a.jpg,a dog,0.250\na.jpg,dogs,0.240\n"


@pytest.mark.parametrize("cut", [cut for cut in range(len(HEADER)) if HEADER[:cut] != b"path,caption,confidence"])
def test_a_header_that_was_cut_off_is_mended(desk_of, cut):
    desk = desk_of("csv")
    desk.path.write_bytes(HEADER[:cut])
    desk.run(captioned("a.jpg", "a dog"))
    assert desk.data == HEADER + b"a.jpg,a dog,0.250,1\n"


# What was cut off


def after_cuts(desk, last, first_byte=0):
    """Cut the file at every byte of its last record and run again; yield the cut and what the file is then."""
    desk.run(captioned("a.jpg", "a cat"), last)
    whole, record = desk.data, record_of(desk.form, last)
    assert whole.endswith(record)
    for cut in range(len(whole) - len(record) + first_byte, len(whole)):
        desk.lose(whole[:cut], last)
        desk.run(captioned("a.jpg", "a cat"), last)
        yield cut, desk.data == whole


@pytest.mark.parametrize("path", ["photos/dog.jpg", 'a, "b".jpg', "a\tb\nc.jpg", "北/é.jpg", FOREIGN])
def test_a_last_line_that_was_cut_off_is_mended_and_its_image_captioned_again(desk, path):
    last = captioned(path, "a dog runs, and a café")
    in_confidence = len("0.250,1\n") if desk.form.header else 0
    results = list(after_cuts(desk, last))
    assert all(mended for _, mended in results[: len(results) - in_confidence])


def test_a_row_that_was_cut_off_in_its_confidence_is_mended(desk_of):
    assert all(mended for _, mended in after_cuts(desk_of("csv"), captioned("dog.jpg", "a dog runs")))


def test_a_failed_line_that_was_cut_off_is_mended(desk_of):
    assert all(mended for _, mended in after_cuts(desk_of("jsonl"), failed("dog.jpg")))


def test_of_alternatives_that_were_cut_off_no_part_of_a_line_is_left(desk):
    last = captioned("dog.jpg", "a dog runs", "a dog")
    lines = {*desk.form.lines(last), *desk.form.lines(captioned("a.jpg", "a cat")), desk.form.header} - {""}
    desk.run(captioned("a.jpg", "a cat"), last)
    whole = desk.data
    for cut in range(len(whole) - len(record_of(desk.form, last)), len(whole)):
        if desk.form.header and b"," in whole[:cut].rpartition(b"\n")[2].partition(b",")[2]:
            continue  # cut off in its confidence: see above
        desk.lose(whole[:cut], last)
        desk.run(captioned("a.jpg", "a cat"), last)
        assert desk.data.endswith(b"\n")
        assert set(desk.data.decode().splitlines()) <= lines


@pytest.mark.parametrize("name", ["text", "csv"])
def test_alternatives_that_were_cut_off_are_found_again(desk_of, name):
    desk, last = desk_of(name), captioned("dog.jpg", "a dog runs", "a dog")
    desk.run(last)
    whole = desk.data
    desk.lose(whole[: -len("og,0.240\n")], last)
    desk.run(last)
    assert desk.data == whole


def test_a_persons_last_line_without_its_end_is_kept(desk):
    record = record_of(desk.form, captioned("mine.jpg", "my dog"))
    desk.path.write_bytes(desk.form.header.encode() + b"\n" + record[:-1])
    desk.run(captioned("mine.jpg", "new"), captioned("b.jpg", "a cat"))
    assert desk.records() == [("mine.jpg", "my dog"), ("b.jpg", "a cat")]


def test_a_last_line_that_an_editor_left_without_its_end_is_kept(desk):
    desk.run(captioned("a.jpg", "a dog"))
    whole = desk.data
    desk.path.write_bytes(whole[:-1])
    desk.run(captioned("a.jpg", "new"))
    assert desk.data == whole


@pytest.mark.slow
def test_a_quotation_mark_too_many_is_named_and_not_read_to_the_end_of_the_file(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text('path,caption,confidence\na.jpg,"5 inch tall,0.9\n' + "b.jpg,a cat,0.9\n" * 20_000)
    manifest = Manifest(tmp_path / "data")
    with pytest.raises(StorageError, match=r"ends inside a record that begins with b'a\.jpg,\"5 inch"):
        CaptionFile(path, FORMATS["csv"](several=True), OverwriteGuard(manifest))
    with pytest.raises(DataError, match="ends inside a record"):
        merge([path], tmp_path / "all.csv", FORMATS["csv"](several=True))
    manifest.close()


@pytest.mark.parametrize(
    "name",
    [
        "text",
        "jsonl",
        "csv",
    ],
)
def test_opening_a_file_never_takes_away_a_line_that_has_its_end(name):
    @settings(max_examples=examples(100), deadline=None, database=None)
    @given(st.lists(st.one_of(st.binary(), texts.map(os.fsencode), st.just(b'a.jpg,a 5" pipe,0.5')), max_size=5))
    @example([b'a.jpg,a 5" pipe,0.5', b"b.jpg,a cat,0.5", b""])
    def check(lines):
        with tempfile.TemporaryDirectory() as folder:
            desk, data = Desk(Path(folder), name), b"\n".join(lines)
            known = [parsed[0] for line in data.split(b"\n") if (parsed := desk.form.parse(line + b"\n"))]
            assume(len({Path(path) for path in known}) == len(known))  # of a path that comes again the last record counts
            desk.path.write_bytes(data)
            with suppress(StorageError):  # a CSV that ends inside quotes cannot be added to
                desk.run()
            assert desk.data.startswith(data[: data.rfind(b"\n") + 1])
            desk.manifest.close()

    check()


# Ends that come at a bad moment


def test_what_a_killed_run_has_replaced_is_taken_out_by_the_next(desk):
    desk.run(captioned("a.jpg", "a dog"), captioned("b.jpg", "a cat"))
    desk.killed(captioned("a.jpg", "two dogs"), existing="overwrite")
    assert [path for path, _ in desk.records()] == ["a.jpg", "b.jpg", "a.jpg"]
    desk.run(captioned("a.jpg", "new"))
    assert desk.records() == [("b.jpg", "a cat"), ("a.jpg", "two dogs")]


@pytest.mark.parametrize("name", ["text", "csv"])
def test_what_a_killed_run_has_replaced_is_taken_out_even_if_it_was_the_last(desk_of, name):
    desk = desk_of(name)
    desk.run(captioned("a.jpg", "a dog"))
    desk.killed(captioned("a.jpg", "two dogs"), existing="overwrite")
    desk.run(captioned("a.jpg", "three dogs"), existing="overwrite")
    assert desk.records() == [("a.jpg", "three dogs")]


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_after_a_kill_a_last_row_whose_end_an_editor_has_removed_is_whole(desk_of, line_end):
    desk = desk_of("csv")
    desk.path.write_bytes(b"path,caption,confidence,rank" + line_end + b"b.jpg,a dog,0.250,1" + line_end)
    desk.killed(captioned("c.jpg", "a cat"))
    desk.path.write_bytes(desk.data.rstrip(b"\r\n"))
    desk.run(captioned("e.jpg", "a cow"))
    rows = (b"path,caption,confidence,rank", b"b.jpg,a dog,0.250,1", b"c.jpg,a cat,0.250,1", b"e.jpg,a cow,0.250,1")
    assert desk.data == b"".join(row + line_end for row in rows)


def test_a_failed_line_that_a_killed_run_has_replaced_is_taken_out_by_a_later_one(desk_of):
    desk = desk_of("jsonl")
    desk.run(failed("a.jpg"))
    desk.killed(captioned("a.jpg", "a dog"))
    desk.run(captioned("a.jpg", "a dog"))
    assert desk.records() == [("a.jpg", "a dog")]


def full_after(share):
    """A write that puts a share of the bytes on the disk, which is then full."""
    real = os.write

    def write(descriptor, data):
        if share is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data[: int(len(data) * share)])

    return write


@pytest.mark.parametrize("share", [None, 0.0, 0.5, 0.99])
def test_a_full_disk_is_named_and_leaves_whole_lines(desk, monkeypatch, share):
    desk.run(captioned("a.jpg", "a dog"))
    before, output = desk.data, desk.open()
    monkeypatch.setattr(os, "write", full_after(share))
    with pytest.raises(StorageError, match="the disk is full"):
        output.write(item("b.jpg"), captioned("b.jpg", "a cat", "a kitten"))
    output.close()
    monkeypatch.undo()
    assert desk.data == before
    desk.run(captioned("a.jpg", "new"), captioned("b.jpg", "a cat"))
    assert desk.data == before + record_of(desk.form, captioned("b.jpg", "a cat"))


@pytest.mark.parametrize("existing", ["overwrite", "append", "prepend"])
def test_after_a_full_disk_what_was_to_be_replaced_is_there_and_is_replaced_by_the_next_run(desk, monkeypatch, existing):
    desk.path.write_bytes(record_of(desk.form, captioned("a.jpg", "pets")))
    before, output = desk.data, desk.open(existing)
    with monkeypatch.context() as patch, pytest.raises(StorageError):
        patch.setattr(os, "write", full_after(0.5))
        output.write(item("a.jpg"), captioned("a.jpg", "a cat"))
    output.close()
    assert desk.data == before
    desk.run(captioned("a.jpg", "a cat"), existing=existing)
    assert desk.records() == [("a.jpg", {"overwrite": "a cat", "append": "pets, a cat", "prepend": "a cat, pets"}[existing])]


@pytest.mark.parametrize("existing", ["append", "prepend"])
def test_after_a_full_disk_capgens_own_caption_is_still_its_own(desk, monkeypatch, existing):
    desk.run(captioned("a.jpg", "a cat"))
    output = desk.open("overwrite")
    with monkeypatch.context() as patch, pytest.raises(StorageError):
        patch.setattr(os, "write", full_after(0.5))
        output.write(item("a.jpg"), captioned("a.jpg", "two cats"))
    output.close()
    desk.run(captioned("a.jpg", "three cats"), existing=existing)
    assert desk.records() == [("a.jpg", "a cat")]


def test_a_disk_that_is_full_when_a_csv_begins_is_named(desk_of, monkeypatch):
    monkeypatch.setattr(os, "write", full_after(0.5))
    with pytest.raises(StorageError, match="the disk is full"):
        desk_of("csv").open()


def test_a_disk_that_is_full_at_the_end_loses_nothing(desk, monkeypatch):
    desk.run(captioned("a.jpg", "a dog"), captioned("b.jpg", "a cat"))
    output = desk.open("overwrite")
    output.write(item("a.jpg"), captioned("a.jpg", "two dogs"))
    with monkeypatch.context() as patch, pytest.raises(StorageError, match="the disk is full"):
        patch.setattr(os, "fsync", full_after(None))
        patch.setattr("os.fsync", lambda descriptor: full_after(None)(descriptor, b""))
        output.close()
    assert ("a.jpg", "two dogs") in desk.records()
    assert not list(desk.path.parent.glob(".*.part"))
    desk.run()
    assert desk.records() == [("b.jpg", "a cat"), ("a.jpg", "two dogs")]


def test_a_second_capgen_is_kept_from_a_file_that_is_being_written(desk):
    output = desk.open()
    with pytest.raises(StorageError, match="another capgen"):
        desk.open()
    output.write(item("a.jpg"), captioned("a.jpg", "a dog"))
    output.close()
    assert desk.run(captioned("a.jpg", "new")) == []


def test_a_file_that_was_replaced_while_it_was_waited_for_is_opened_anew(desk, monkeypatch):
    import fcntl

    desk.run(captioned("a.jpg", "a dog"))
    real = fcntl.flock

    def replaced_first(file, kind):
        monkeypatch.setattr(fcntl, "flock", real)
        desk.path.with_name("fresh").write_bytes(record_of(desk.form, captioned("b.jpg", "a cat")))
        desk.path.with_name("fresh").replace(desk.path)
        real(file, kind)

    monkeypatch.setattr(fcntl, "flock", replaced_first)
    desk.run(captioned("c.jpg", "a bird"))
    assert desk.records() == [("b.jpg", "a cat"), ("c.jpg", "a bird")]


def test_a_file_in_a_new_folder_gets_its_folder(desk):
    desk.path = desk.path.parent / "new" / "folder" / "out"
    desk.run(captioned("a.jpg", "a dog"))
    assert desk.records() == [("a.jpg", "a dog")]


def test_a_place_that_cannot_be_a_file_is_named(desk, tmp_path):
    desk.path = tmp_path
    with pytest.raises(StorageError, match="it is a folder"):
        desk.open()
    (tmp_path / "file").touch()
    desk.path = tmp_path / "file" / "out"
    with pytest.raises(StorageError, match="not a folder"):
        desk.open()


def test_a_link_to_an_output_file_stays_one(desk, tmp_path):
    real = tmp_path / "elsewhere" / "real"
    real.parent.mkdir()
    desk.path.symlink_to(real)
    desk.run(captioned("a.jpg", "a dog"))
    desk.run(captioned("a.jpg", "two dogs"), existing="overwrite")
    assert desk.path.is_symlink()
    assert real.read_bytes() == desk.data
    assert desk.records() == [("a.jpg", "two dogs")]


# Standard output


def test_stdout_gets_the_lines_at_once(capsysbinary):
    output = StandardOutput(FORMATS["text"](several=True))
    assert output.skip_reason(item(Path("a.jpg"))) is None
    output.write(item("a.jpg"), captioned("a.jpg", "a dog"))
    assert capsysbinary.readouterr().out == b"a.jpg\ta dog\n"
    output.write(item("b.jpg"), failed("b.jpg"))
    output.write(item(FOREIGN), captioned(FOREIGN, "a café"))
    output.close()
    assert capsysbinary.readouterr().out == b"caf\xe9.jpg\t" + "a café\n".encode()


def test_stdout_begins_with_the_header(capsysbinary):
    output = StandardOutput(FORMATS["csv"](several=True))
    output.write(item("a.jpg"), captioned("a.jpg", "a dog", "dogs"))
    assert capsysbinary.readouterr().out == HEADER + b"a.jpg,a dog,0.250,1\na.jpg,dogs,0.240,2\n"


def test_stdout_has_no_empty_line_where_a_format_has_no_header(capsysbinary):
    StandardOutput(FORMATS["jsonl"](several=True))
    assert capsysbinary.readouterr().out == b""


# Merging


class Shards:
    """Files of one format in a folder, and what they merge to."""

    def __init__(self, folder, name):
        self.folder, self.form, self.sources = folder, FORMATS[name](several=True), []
        self.target = folder / "merged"

    def add(self, *results, header=False, end=b"\n"):
        records = b"".join(record_of(self.form, result) for result in results)
        first = self.form.header.encode() + b"\n" if header and self.form.header else b""
        self.sources.append(self.folder / f"shard-{len(self.sources)}")
        self.sources[-1].write_bytes((first + records).removesuffix(b"\n") + end if records else first)
        return self

    def merge(self):
        self.count = merge(self.sources, self.target, self.form)
        return self.target.read_bytes()

    def data(self, *results):
        """What a file with these results would be."""
        first = self.form.header.encode() + b"\n" if self.form.header else b""
        return first + b"".join(record_of(self.form, result) for result in results)


@pytest.fixture(params=LINES)
def shards(request, tmp_path):
    """Shards of each format."""
    return Shards(tmp_path, request.param)


A, B, C = captioned("a.jpg", "a dog"), captioned("b.jpg", "a cat", "a kitten"), captioned("c,\n\t.jpg", "a bird")


@pytest.mark.parametrize("headers", [(True, True), (True, False), (False, False)])
def test_shards_merge_to_what_one_run_gives(shards, headers):
    shards.add(A, C, header=headers[0]).add(B, header=headers[1])
    assert shards.merge() == shards.data(A, C, B)
    assert shards.count == 3


@formats
@settings(max_examples=examples(60), deadline=None)
@given(names=st.lists(paths, unique=True, max_size=8), number=st.integers(1, 4), count=st.integers(1, 3), data=st.data())
def test_any_shards_of_any_paths_merge_to_what_one_run_gives(name, names, number, count, data):
    with tempfile.TemporaryDirectory() as folder:
        shards = Shards(Path(folder), name)
        results = [captioned(path, *data.draw(st.lists(texts, min_size=count, max_size=count))) for path in names]
        parts = [results[first::number] for first in range(number)]
        for first, part in enumerate(parts):
            shards.add(*part, header=first == 0)
        whole = shards.data(*(result for part in parts for result in part))
        assert shards.merge() == (whole if results else b"")
        assert shards.count == len(names)


def test_an_image_that_is_called_by_a_blank_is_merged_though_its_caption_is_empty(shards):
    blank = captioned("\x0b", "")
    assert shards.add(blank, header=True).merge() == shards.data(blank)
    assert shards.count == 1


def test_of_a_path_in_several_files_the_last_caption_counts(shards):
    new = captioned("a.jpg", "two dogs", "dogs")
    shards.add(A, B, header=True).add(new, C, header=True)
    assert shards.merge() == shards.data(B, new, C)
    assert shards.count == 3


def test_of_a_path_twice_in_one_file_the_last_caption_counts(shards):
    assert shards.add(A, B, captioned("a.jpg", "two dogs")).merge() == shards.data(B, captioned("a.jpg", "two dogs"))


def test_a_failure_counts_only_where_there_is_no_caption(tmp_path):
    shards = Shards(tmp_path, "jsonl")
    shards.add(failed("a.jpg"), B, failed("d.jpg")).add(A, failed("b.jpg"), failed("d.jpg", "missing"))
    assert shards.merge() == shards.data(B, A, failed("d.jpg", "missing"))
    assert shards.count == 3


def test_merging_again_changes_nothing(shards):
    merged = shards.add(A, C).add(B, captioned("a.jpg", "two dogs")).merge()
    shards.sources = [shards.target]
    assert shards.merge() == merged


def test_the_target_may_be_one_of_the_sources(shards):
    shards.add(A, header=True).add(B)
    shards.target = shards.sources[0]
    assert shards.merge() == shards.data(A, B)


def test_a_last_line_without_its_end_gets_one(shards):
    assert shards.add(A, end=b"").add(B, end=b"").merge() == shards.data(A, B)


def test_empty_files_merge_to_an_empty_one(shards):
    assert shards.add(header=True).add().merge() == b""
    assert shards.count == 0


def test_empty_lines_are_left_out(shards):
    shards.add(A).add(B)
    shards.sources[0].write_bytes(b"\n" + shards.sources[0].read_bytes() + b"\n\n")
    assert shards.merge() == shards.data(A, B)


@pytest.mark.parametrize(("written", "named"), [(a, b) for a in LINES for b in LINES if a != b])
def test_a_file_of_another_format_is_named_with_the_record_and_nothing_is_written(tmp_path, written, named):
    sources = Shards(tmp_path, written).add(A).sources
    with pytest.raises(DataError, match=r"shard-0: record 1 is not of this format; name it with `format`"):
        merge(sources, tmp_path / "merged", FORMATS[named](several=True))
    assert not (tmp_path / "merged").exists()


def test_a_cut_off_record_is_named(tmp_path):
    shards = Shards(tmp_path, "jsonl").add(A, B)
    shards.sources[0].write_bytes(shards.sources[0].read_bytes()[:-9])
    with pytest.raises(DataError, match="record 2"):
        shards.merge()


def test_a_source_that_is_not_there_is_named_and_nothing_is_written(shards):
    shards.add(A)
    shards.sources.append(shards.folder / "gone")
    with pytest.raises(DataError, match="gone cannot be read"):
        shards.merge()
    assert not shards.target.exists()


def test_a_target_that_cannot_be_written_is_named(shards):
    shards.add(A)
    shards.target = shards.sources[0] / "merged"
    with pytest.raises(StorageError, match="not a folder"):
        shards.merge()


def saved(path, delimiter=",", line_end=b"\n", mark=b""):
    """Save a CSV of capgen's as a spreadsheet does."""
    rows = path.read_bytes().replace(b",", delimiter.encode()).splitlines()
    path.write_bytes(mark + b"".join(row + line_end for row in rows))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_csvs_that_a_spreadsheet_has_saved_merge_with_their_own_delimiter_and_line_ends(tmp_path, delimiter, mark):
    shards = Shards(tmp_path, "csv").add(A, header=True).add(B, header=True).add(header=True)
    expected = shards.data(A, B).replace(b",", delimiter.encode()).replace(b"\n", b"\r\n")
    saved(shards.sources[0], delimiter, b"\r\n", mark)
    saved(shards.sources[1], delimiter)
    assert shards.merge() == expected
    shards.target = tmp_path / "again"
    shards.sources.insert(0, shards.sources.pop())  # the one that holds no record does not count
    assert shards.merge() == expected


def test_a_csv_with_other_delimiters_than_the_first_is_named_and_nothing_is_written(tmp_path):
    shards = Shards(tmp_path, "csv").add(A, header=True).add(B, header=True)
    saved(shards.sources[1], ";")
    with pytest.raises(
        DataError, match=r"shard-1 has other columns or delimiters than \S*shard-0; save both with the same ones"
    ):
        shards.merge()
    assert not shards.target.exists()


def test_a_source_in_utf_16_is_named(shards):
    shards.add(A, header=True)
    shards.sources[0].write_bytes(codecs.BOM_UTF16_LE + shards.sources[0].read_bytes().decode().encode("utf-16-le"))
    with pytest.raises(DataError, match=r"shard-0 is in UTF-16; save it as UTF-8$"):
        shards.merge()


@pytest.mark.parametrize("location", ["/dev/full", "/dev/zero", "pipe"])
def test_what_is_no_file_is_refused_without_reading_it(tmp_path, location):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="is not a file that lines can be added to"):
        CaptionFile(tmp_path / location, FORMATS["jsonl"](several=True), OverwriteGuard(Manifest(tmp_path / "data")))


def test_a_format_that_is_not_that_of_the_ending_is_refused():
    with pytest.raises(UsageError, match="ends as csv does, and `format` says jsonl"):
        format_of(Path("a.csv"), "jsonl")
