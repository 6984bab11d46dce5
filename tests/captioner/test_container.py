"""Archives that mean harm, or were damaged on the way: refused before anything is written, and in little memory.

Ten thousand damaged ones are taken in: each is refused, or gives what was packed, byte for byte.
"""

import hashlib
import json
import os
import random
import shutil
import stat
import struct
import tracemalloc
import zipfile

import pytest
from support.bundles import CONTENTS, DESCRIPTION, WHOLE, contents_of, entry, everything, packed, sealed
from support.commands import capgen, refused
from support.paths import ROOT

from capgen.captioner import bundle, collection, container
from capgen.captioner.bundle import Bundle
from capgen.errors import BundleError, CapgenError

COUNT = 10_000
EVIL = (
    "../evil", "../../evil", "/tmp/evil", "evil/", "a/../../evil", "..", ".", "", ".hidden", "C:evil", "C:\\evil", "..\\e",
    "evil\0.txt", "ev\nil", "~", "-rf", "CON ", "\N{DIVISION SLASH}evil", "\N{TWO DOT LEADER}", "e" * 5000 + "/",
)  # fmt: skip
"""Names of entries that are not plain file names."""


@pytest.fixture
def tiny(user_folders):
    """A packed captioner that calls itself ``tiny``."""
    (user_folders / "tiny.capgen").write_bytes(packed(WHOLE))
    return user_folders / "tiny.capgen"


@pytest.fixture
def folder(user_folders):
    """A captioner in a folder."""
    bundle.write(user_folders / "tiny", DESCRIPTION, CONTENTS)
    return user_folders / "tiny"


def opens_not(target, data, match):
    """Make sure that an archive is refused wherever it is used, and that nothing is written."""
    target.write_bytes(data)
    before = everything(target.parent)
    for use in (lambda: Bundle(target).contents(), lambda: collection.install(target, "evil")):
        with pytest.raises(BundleError, match=match):
            use()
    assert everything(target.parent) == before


@pytest.mark.parametrize("name", EVIL)
def test_an_entry_that_is_no_plain_file_name_is_refused(tiny, name):
    opens_not(tiny, packed(WHOLE, (entry(name), b"evil")), "does not have a plain file name")


@pytest.mark.parametrize("name", EVIL)
def test_a_description_that_lists_no_plain_file_name_is_refused(tiny, name):
    listed = {**json.loads(WHOLE[bundle.DESCRIPTION])["files"], name: hashlib.sha256(b"evil").hexdigest()}
    opens_not(tiny, sealed(files=listed), "not as capgen writes it")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR])
def test_an_entry_that_is_no_file_is_refused(tiny, kind):
    opens_not(tiny, packed(WHOLE, (entry("link", kind | 0o777), b"/etc/passwd")), "is not a plain file")


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_entry_compressed_in_another_way_is_refused(tiny, kind):
    opens_not(tiny, packed(WHOLE, kind=kind), "compressed in a way that is not read")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", [bundle.DECODER, bundle.DECODER.upper(), "Bundle.json"])
def test_two_entries_of_one_name_are_refused(tiny, name):
    opens_not(tiny, packed(WHOLE, (entry(name), b"evil")), "two entries named")


def test_a_description_that_lists_itself_is_refused(tiny):
    listed = json.loads(WHOLE[bundle.DESCRIPTION])["files"]
    opens_not(tiny, sealed(files={**listed, "BUNDLE.json": "0"}), "not as capgen writes it")


def directory(data):
    """Where the headers of a zip's directory begin."""
    found, start = [], 0
    while (start := data.find(b"PK\x01\x02", start)) >= 0:
        found.append(start)
        start += 4
    return found


def with_field(data, at, form, value):
    return data[:at] + struct.pack(form, value) + data[at + struct.calcsize(form) :]


def test_an_encrypted_entry_is_refused(tiny):
    data = packed(WHOLE)
    opens_not(tiny, with_field(data, directory(data)[1] + 8, "<H", 1), "is encrypted")


def test_entries_that_overlap_are_refused(tiny):
    data = packed(WHOLE)
    first, second, *_ = directory(data)
    offset = struct.unpack_from("<L", data, first + 42)[0]
    opens_not(tiny, with_field(data, second + 42, "<L", offset), "overlap")


def test_more_entries_than_a_captioner_has_are_refused(tiny):
    opens_not(tiny, packed(WHOLE, *((entry(f"x{number}"), b"") for number in range(100))), "105 entries")


def test_a_directory_of_any_size_is_not_read(tiny):
    header = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    count = 65_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, count * len(header), 0, 0)
    opens_not(tiny, header * count + end, "is not a captioner")


def peak_of(use):
    """The most memory that a call takes, in bytes."""
    tracemalloc.start()
    try:
        use()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "match"), [(bundle.ENCODER, "would become too large"), (bundle.VOCABULARY, "too large for a captioner's file")]
)
def test_a_bomb_is_refused_in_little_memory(tiny, name, match):
    data = packed({**WHOLE, name: bytes(100 << 20)}, kind=zipfile.ZIP_DEFLATED)
    assert len(data) < 1 << 20
    memory = peak_of(lambda: opens_not(tiny, data, match))
    assert memory < 4 << 20


def test_a_bomb_that_hides_its_size_is_unpacked_no_further_than_it_says(tiny):
    data = packed({**WHOLE, bundle.VOCABULARY: bytes(100 << 20)}, kind=zipfile.ZIP_DEFLATED)
    at = next(at for at in directory(data) if data[at + 46 :].startswith(bundle.VOCABULARY.encode()))
    data = with_field(data, at + 24, "<L", 1000)
    data = with_field(data, struct.unpack_from("<L", data, at + 42)[0] + 22, "<L", 1000)
    memory = peak_of(lambda: opens_not(tiny, data, "cannot be read"))
    assert memory < 8 << 20


def test_sizes_beyond_the_file_are_refused(tiny):
    data = packed(WHOLE)
    for at in directory(data):
        data = with_field(with_field(data, at + 20, "<L", 0x7FFFFFFF), at + 24, "<L", 0x7FFFFFFF)
    opens_not(tiny, data, "too large")


@pytest.mark.parametrize("name", [bundle.DESCRIPTION, bundle.VOCABULARY, bundle.DECODER])
def test_a_pipe_in_a_folder_is_refused_and_not_waited_for(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(BundleError, match=f"{name} is not a plain file"):
        Bundle(folder).graph(name)


def test_a_file_in_a_folder_that_is_too_large_is_not_read(folder):
    with (folder / bundle.DESCRIPTION).open("r+b") as file:
        file.truncate(container.MAX_JSON_BYTES + 1)
    with pytest.raises(BundleError, match=r"bundle\.json is too large"):
        Bundle(folder)


def test_an_archive_is_checked_when_it_captions_too(tiny):
    tiny.write_bytes(packed(WHOLE, (entry("../evil"), b"evil")))
    refused(capgen("caption", "--model", tiny, ROOT / "examples/cat.jpg"), "'../evil' does not have a plain file name")


def flipped(data, generator):
    """Change some bits anywhere."""
    changed = bytearray(data)
    for _ in range(generator.choice((1, 1, 2, 5, 30))):
        changed[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
    return bytes(changed)


def truncated(data, generator):
    return data[: generator.randrange(len(data))]


def swapped(data, generator):
    """Exchange two pieces."""
    length = generator.choice((1, 4, 46, 200))
    first = generator.randrange(len(data) - 2 * length)
    second = generator.randrange(first + length, len(data) - length)
    one, other = data[first : first + length], data[second : second + length]
    return data[:first] + other + data[first + length : second] + one + data[second + length :]


def stretched(data, generator):
    """Take a piece out, or put one in again."""
    start, end = sorted(generator.randrange(len(data)) for _ in range(2))
    return (
        data[:start] + data[end:]
        if generator.random() < 0.5
        else data[:end] + data[start:end] * generator.choice((1, 2, 9)) + data[end:]
    )


FIELDS = {
    4: "<H",
    6: "<H",
    8: "<H",
    10: "<H",
    16: "<L",
    20: "<L",
    24: "<L",
    28: "<H",
    30: "<H",
    32: "<H",
    34: "<H",
    38: "<L",
    42: "<L",
}
"""Where the fields of a header in the directory are: versions, flags, method, sums, sizes, lengths, mode, offset."""


def value_of(form, generator):
    """Choose a number that a field can hold; often an extreme."""
    bits = 8 * struct.calcsize(form)
    return generator.choice((0, 1, 8, 0x7FFF, 2**bits - 1, 2 ** (bits - 1), generator.randrange(2**bits)))


def redirected(data, generator):
    """Change a field of the directory."""
    at, form = generator.choice(list(FIELDS.items()))
    return with_field(data, generator.choice(directory(data)) + at, form, value_of(form, generator))


def ended(data, generator):
    """Change a field of the directory's end."""
    at, form = generator.choice(((4, "<H"), (6, "<H"), (8, "<H"), (10, "<H"), (12, "<L"), (16, "<L"), (20, "<H")))
    return with_field(data, data.rfind(b"PK\x05\x06") + at, form, value_of(form, generator))


def inflated(data, generator):
    """Let an entry declare another size, in both its headers."""
    at, size = generator.choice(directory(data)), value_of("<L", generator)
    local = struct.unpack_from("<L", data, at + 42)[0]
    data = with_field(with_field(data, at + 24, "<L", size), local + 22, "<L", size)
    return data if generator.random() < 0.5 else with_field(with_field(data, at + 20, "<L", size), local + 18, "<L", size)


def renamed(data, generator):
    """Give an entry another name of the same length, in one header or both."""
    at = generator.choice(directory(data))
    length, local = struct.unpack_from("<H", data, at + 28)[0], struct.unpack_from("<L", data, at + 42)[0]
    name = generator.choice(EVIL).encode().ljust(length, b"x")[:length]
    data = data[: at + 46] + name + data[at + 46 + length :]
    return data if generator.random() < 0.5 else data[: local + 30] + name + data[local + 30 + length :]


def joined(data, generator):
    """Add an entry that has no business there."""
    name = generator.choice((*EVIL, *CONTENTS, "more.txt", "BUNDLE.JSON"))
    mode = generator.choice((0, stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR)) | generator.randrange(0o1000)
    kind = generator.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    return packed(WHOLE, (entry(name, mode, kind), generator.choice((b"", b"../evil", b"/etc/passwd", bytes(100_000)))))


def rewritten(data, generator):
    """Change the description, and seal it again."""
    listed = json.loads(WHOLE[bundle.DESCRIPTION])["files"]
    deep: list = []
    for _ in range(generator.choice((20, 200))):
        deep = [deep]
    odd = generator.choice(
        (None, 0, -1, 10**400, 1e308, "", "x" * 100, [], [[1, 2]], {}, {"": deep}, deep, ["../evil"], True, *EVIL)
    )
    return generator.choice(
        (
            lambda: sealed(**{generator.choice(list(json.loads(WHOLE[bundle.DESCRIPTION]))[1:]): odd}),
            lambda: sealed(files={**listed, generator.choice(EVIL): odd}),
            lambda: sealed(files={**listed, generator.choice(list(listed)): odd}),
            lambda: sealed(files={generator.choice(EVIL): hashlib.sha256(b"").hexdigest()}),
        )
    )()


WAYS = (flipped, truncated, swapped, stretched, redirected, ended, inflated, renamed, joined, rewritten)


def mutated(originals, seed):
    """Damage an archive in one way, or in two; the same one for the same seed."""
    generator = random.Random(seed)
    data = WAYS[seed % len(WAYS)](generator.choice(originals), generator)
    return generator.choice((flipped, truncated))(data, generator) if data and generator.random() < 0.2 else data


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.slow
def test_every_damaged_archive_is_refused_or_gives_what_was_packed(user_folders, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)
    originals = [packed(WHOLE), packed(WHOLE, kind=zipfile.ZIP_DEFLATED)]
    target, shelf, taken, texts = user_folders / "file.capgen", user_folders / "data/models", 0, set()
    for seed in range(COUNT):
        target.write_bytes(mutated(originals, seed))
        try:
            collection.install(target, "it")
        except CapgenError as error:
            assert isinstance(error, BundleError), (seed, error)
            assert len(str(error)) < 600, seed
            texts.add(str(error))
            assert not shelf.exists() or not any(shelf.iterdir()), seed
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
        else:
            found = contents_of(shelf / "it")
            assert {*found} == {*WHOLE}, seed
            if WAYS[seed % len(WAYS)] is not rewritten:
                assert found == WHOLE, seed
            shutil.rmtree(shelf / "it")
            taken += 1
    assert {path.name for path in user_folders.iterdir()} == {"file.capgen", "data"}
    assert COUNT * 0.02 < taken < COUNT * 0.6
    assert len(texts) > 30
