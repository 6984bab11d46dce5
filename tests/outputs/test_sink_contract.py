"""What every sink promises, whatever it writes; each entry of the registries of outputs is tried."""

import errno
import io
import os
from pathlib import Path

import pytest
from PIL import Image
from support.tools import require_tool

from capgen.captioner.results import Caption, Result, SkipReason
from capgen.errors import Status, StorageError
from capgen.inputs.archives import LazyImage
from capgen.inputs.selection import Found
from capgen.outputs import DESTINATIONS, ENDINGS, FORMATS, SHARD_FORMATS
from capgen.outputs.choices import Existing
from capgen.outputs.manifest import Manifest
from capgen.outputs.per_image import PerImageSink
from capgen.outputs.policy import OverwriteGuard
from capgen.outputs.sidecar import Sidecar
from capgen.storage import files


def captioned(item, text):
    return Result(item.path, Status.CAPTIONED, (Caption(text, 0.25, -3.5),))


def failed(item):
    return Result(item.path, Status.UNREADABLE, reason="its data is damaged")


class Outlet:
    """One kind of output in a folder of its own, with two images, as a run opens it and as a person reads and edits it."""

    def __init__(self, folder, name):
        self.name, self.folder, self.manifest = name, folder, Manifest(folder / "data")
        self.items = []
        for image in ("a.jpg", "b.jpg"):
            Image.new("RGB", (8, 8), (200, 10, 10)).save(folder / image)
            self.items.append(Found(folder / image, folder))

    def open(self, existing=Existing.SKIP, *, force=False):
        guard = OverwriteGuard(self.manifest, existing, force=force)
        if self.name in FORMATS:
            return FORMATS[self.name](several=True).open(self.file, guard)
        return PerImageSink(self._destination(), guard)

    def run(self, *texts, existing=Existing.SKIP, force=False):
        """Write a caption for each image; return why it was not written."""
        sink = self.open(existing, force=force)
        reasons = [sink.write(item, captioned(item, text)) for item, text in zip(self.items, texts, strict=False)]
        sink.close()
        return reasons

    @property
    def file(self):
        endings = (ending for ending, name in ENDINGS.items() if name == self.name)
        return self.folder / f"out{max(endings, default='')}"

    def edit(self, old, new):
        """Change a caption as a person does."""
        if self.name == "embedded":
            destination = self._destination()
            destination.write(self.items[0].path, new)
            destination.close()
            return
        path = self.file if self.name in FORMATS else self.open().target(self.items[0])
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def captions(self):
        """What is there, by a destination's or a format's own reader."""
        if self.name in FORMATS:
            return read_back(self.name, self.file)
        destination = self._destination()
        found = {item.path.name: destination.read(destination.target(*item.local())) for item in self.items}
        destination.close()
        return {name: text for name, text in found.items() if text is not None}

    def contents(self):
        """The bytes of all files, the manifest apart."""
        return {path: path.read_bytes() for path in self.folder.iterdir() if path.is_file()}

    def _destination(self):
        if self.name == "embedded":
            require_tool("exiftool")
        return DESTINATIONS[self.name](*(("txt",) if self.name == "sidecar" else ()))


def read_back(name, path):
    """Read a file of captions as another program does."""
    if not path.exists():
        return {}
    if name == "coco":
        from capgen.outputs.coco import CocoFormat

        merged = path.with_name("merged.json")
        CocoFormat(several=True).merge([path], merged)
        import json

        found = {str(entry["image_id"]): entry["caption"] for entry in json.loads(merged.read_bytes())}
        merged.unlink()
        return found
    form = FORMATS[name](several=True)
    parsed = filter(None, map(form.parse, path.read_bytes().splitlines(keepends=True)))
    return {Path(image).name: caption for image, caption in parsed if caption is not None}


STARTS_EXIFTOOL = {"embedded": pytest.mark.slow}


@pytest.fixture(params=[pytest.param(name, marks=STARTS_EXIFTOOL.get(name, ())) for name in (*FORMATS, *DESTINATIONS)])
def outlet(request, tmp_path):
    made = Outlet(tmp_path, request.param)
    yield made
    made.manifest.close()


def test_what_is_written_reads_back(outlet):
    assert outlet.run('a dog runs, "fast"', "a cat & a <bird>") == [None, None]
    assert outlet.captions() == {"a.jpg": 'a dog runs, "fast"', "b.jpg": "a cat & a <bird>"}


def test_a_caption_that_exists_is_skipped_and_its_file_is_not_touched(outlet):
    outlet.run("a dog", "a cat")
    before = outlet.contents()
    sink = outlet.open()
    assert [sink.skip_reason(item) for item in outlet.items] == [SkipReason.HAS_CAPTION] * 2
    assert [sink.write(item, captioned(item, "new")) for item in outlet.items] == [SkipReason.HAS_CAPTION] * 2
    sink.close()
    assert outlet.contents() == before


def test_a_caption_that_is_missing_is_written_beside_one_that_exists(outlet):
    outlet.run("a dog")
    assert outlet.run("new", "a cat") == [SkipReason.HAS_CAPTION, None]
    assert outlet.captions() == {"a.jpg": "a dog", "b.jpg": "a cat"}


@pytest.mark.parametrize("existing", [Existing.OVERWRITE, Existing.APPEND, Existing.PREPEND])
def test_a_persons_edit_is_never_overwritten_without_force(outlet, existing):
    outlet.run("a dog", "a cat")
    outlet.edit("a dog", "my dog")
    sink = outlet.open(existing)
    assert sink.skip_reason(outlet.items[0]) is SkipReason.CHANGED_BY_HAND
    assert sink.write(outlet.items[0], captioned(outlet.items[0], "new")) is SkipReason.CHANGED_BY_HAND
    sink.close()
    assert outlet.captions() == {"a.jpg": "my dog", "b.jpg": "a cat"}


def test_a_persons_edit_is_overwritten_with_force(outlet):
    outlet.run("a dog", "a cat")
    outlet.edit("a dog", "my dog")
    assert outlet.run("new", existing=Existing.OVERWRITE, force=True) == [None]
    assert outlet.captions() == {"a.jpg": "new", "b.jpg": "a cat"}


@pytest.mark.parametrize(("existing", "text"), [(Existing.APPEND, "pets, a dog"), (Existing.PREPEND, "a dog, pets")])
def test_a_caption_is_added_to_that_of_others_once(outlet, existing, text):
    outlet.run("pets")
    outlet.manifest.close()
    for path in (outlet.folder / "data").iterdir():
        path.unlink()  # so that nobody knows that the caption is capgen's
    (outlet.folder / ".capgen").unlink(missing_ok=True)
    outlet.manifest = Manifest(outlet.folder / "data")
    assert outlet.run("a dog", existing=existing) == [None]
    assert outlet.run("a dog", existing=existing) == [SkipReason.OURS_ALREADY]
    assert outlet.captions() == {"a.jpg": text}


def test_a_failed_image_is_written_only_where_the_format_has_room_for_it(outlet):
    sink = outlet.open()
    assert sink.write(outlet.items[0], failed(outlet.items[0])) is None
    sink.close()
    assert outlet.captions() == {}
    holds = outlet.name in FORMATS and outlet.file.exists() and b"a.jpg" in outlet.file.read_bytes()
    assert holds == (outlet.name in FORMATS and FORMATS[outlet.name](several=True).records_failures)
    sink = outlet.open()
    assert sink.skip_reason(outlet.items[0]) is None  # it is tried again
    sink.close()


def test_a_failure_takes_no_caption_away(outlet):
    outlet.run("a dog")
    sink = outlet.open(Existing.OVERWRITE)
    sink.write(outlet.items[0], failed(outlet.items[0]))
    sink.close()
    assert outlet.captions() == {"a.jpg": "a dog"}


def test_it_can_be_closed_twice(outlet):
    sink = outlet.open()
    sink.write(outlet.items[0], captioned(outlet.items[0], "a dog"))
    sink.close()
    sink.close()
    assert outlet.captions() == {"a.jpg": "a dog"}


def test_the_target_is_a_file_that_is_written(outlet):
    sink = outlet.open()
    sink.write(outlet.items[0], captioned(outlet.items[0], "a dog"))
    target = sink.target(outlet.items[0])
    sink.close()
    assert target.is_file()


def no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_a_storage_error_and_nothing_is_half_written(outlet, monkeypatch):
    outlet.run("a dog")
    before = outlet.contents()
    sink = outlet.open()
    with monkeypatch.context() as patch, pytest.raises(StorageError, match="the disk is full"):
        patch.setattr(os, "write", no_space)
        patch.setattr(os, "fsync", no_space)
        sink.write(outlet.items[1], captioned(outlet.items[1], "a cat"))
        sink.close()
    assert outlet.contents() == before
    sink.close()


def test_a_failed_write_says_which_file_and_leaves_no_temporary_file(tmp_path, monkeypatch):
    sink = PerImageSink(Sidecar("txt"), OverwriteGuard(Manifest(tmp_path / "data")))
    monkeypatch.setattr(os, "fsync", no_space)
    item = Found(tmp_path / "a.jpg", tmp_path)
    with pytest.raises(StorageError, match=r"cannot write .*a\.txt: the disk is full"):
        sink.write(item, captioned(item, "a dog"))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


# Shards, which are written whole


@pytest.fixture(params=list(SHARD_FORMATS))
def shard_format(request):
    return SHARD_FORMATS[request.param]


def images(folder):
    """Two images as an archive gives them."""
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (8, 8), (200, 10, 10)).save(folder / name)
        path = folder / name
        yield Found(path, folder), LazyImage(path, name, path.read_bytes)


def test_a_shard_names_all_its_images_failed_ones_included(shard_format, tmp_path):
    file = io.BytesIO()
    shard = shard_format(file)
    (first, photograph), (second, _) = images(tmp_path)
    assert shard.skip_reason(first) is None
    assert shard.write(first, captioned(first, "a dog"), photograph) is None
    assert shard.write(second, failed(second)) is None
    shard.close()
    shard.close()
    file.seek(0)
    assert sorted(shard_format.paths(file)) == [str(first.path), str(second.path)]


def test_a_shard_on_a_full_disk_is_a_storage_error_and_does_not_appear(shard_format, tmp_path, monkeypatch):
    target = tmp_path / "out" / f"00000{shard_format.ending}"
    [(item, photograph), _] = images(tmp_path)
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageError, match="the disk is full"), files.writing(target) as file:
        shard = shard_format(file)
        shard.write(item, captioned(item, "a dog"), photograph)
        shard.close()
    assert list(target.parent.iterdir()) == []
