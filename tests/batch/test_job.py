"""``CaptionJob``, as a program uses it: what it yields, plans, refuses and writes."""

import json
import tarfile
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from support.archives import tar
from support.captioners import install_fake
from support.commands import here
from support.drawing import draw_each

from capgen import CaptionJob, CaptionRequest, Inputs, LocalEngine, OutputPolicy, Outputs, Selection
from capgen.captioner.backends.fake import FakeCaptionModel
from capgen.captioner.backends.model import Capability
from capgen.captioner.captioner import Captioner
from capgen.captioner.results import Caption, Result, SkipReason
from capgen.errors import ImageError, Status, UnknownNameError, UsageError

NAMES = ("a.png", "b.png", "c.png", "deep/d.png")


class Numbering(LocalEngine):
    """Captions each image with a number, without a captioner; something may happen before one of them."""

    def __init__(self, before=None, happens=lambda: None):
        super().__init__()
        self._before, self._happens = before, happens

    def map(self, work, items, block=64):
        numbers = count()
        for item in items:
            if isinstance(item, Result):
                yield item
                continue
            number = next(numbers)
            if number == self._before:
                self._happens()
            yield Result(item, Status.CAPTIONED, (Caption(f"number {number}", 0.5, -1.0),))


class GivingUp(LocalEngine):
    """Gives up each item in which there is something, as an engine does whose workers are lost by it."""

    def __init__(self, what):
        super().__init__()
        self._what = what

    def map(self, work, items, block=64):
        error = ImageError(Status.CRASHED, "the worker was lost")
        for item in items:
            if self._what in str(item):
                yield work.given_up(item, error)
            else:
                yield from super().map(work, [item])


@pytest.fixture(scope="module")
def captioner():
    return Captioner.load()


@pytest.fixture
def library(user_folders):
    return draw_each(user_folders / "library", *NAMES)


@pytest.fixture
def job(captioner, library):
    """Makes a job over the library."""

    def make(engine=None, *, outputs=None, **more):
        inputs = Inputs(paths=(str(library),), selection=Selection(recursive=True))
        return CaptionJob(inputs, captioner, outputs=outputs, engine=engine or Numbering(), **more)

    return make


def statuses(results):
    return [result.status for result in results]


def test_it_yields_a_result_for_each_image_and_writes_nothing_by_default(job, library):
    before = sorted(library.rglob("*"))
    made = job()
    assert [result.caption for result in made.run()] == ["number 0", "number 1", "number 2", "number 3"]
    assert (made.progress.done, made.progress.total) == (4, 4)
    assert sorted(library.rglob("*")) == before


def test_it_takes_paths_alone_and_the_request_of_a_captioner(captioner, library):
    [result] = CaptionJob([library / "a.png"], captioner, CaptionRequest(prompt="two dogs", num_beams=1)).run()
    assert result.caption.startswith("two dogs")


def test_what_does_not_fit_together_is_said_in_the_words_of_a_program(job, user_folders):
    with pytest.raises(UsageError, match=r"^`output_dir` says where sidecars go; add `sidecar='\.txt'` or `xmp=True`$"):
        job(outputs=Outputs(output_dir=user_folders / "beside")).check()


@pytest.mark.parametrize("form", [str, Path])
def test_a_single_path_is_taken_as_one(captioner, library, form):
    image = library / "a.png"
    for inputs in (form(image), Inputs(paths=form(image)), Inputs(listed=form(image)), Inputs.of(form(image))):
        assert [result.path for result in CaptionJob(inputs, captioner, engine=Numbering()).run()] == [image]


def test_it_writes_several_outputs_at_once_and_a_second_run_skips_them(job, library, user_folders):
    outputs = Outputs(file=user_folders / "o.json", sidecar="txt", xmp=True, report=user_folders / "report.jsonl")
    results = list(job(outputs=outputs).run())
    assert [len(result.written) for result in results] == [2] * 4
    assert (library / "a.txt").read_text() == "number 0\n"
    assert json.loads((user_folders / "o.json").read_text())[3] == {"image_id": "d.png", "caption": "number 3"}
    again = list(job(outputs=outputs).run())
    assert {(result.status, result.skip_reason) for result in again} == {(Status.SKIPPED, SkipReason.HAS_CAPTION)}
    assert (user_folders / "report.jsonl").read_text().count('"status": "skipped"') == 4


def test_a_plan_names_what_would_be_written_and_writes_nothing(job, library, user_folders):
    (library / "a.txt").write_text("by hand\n")
    planned = list(job(outputs=Outputs(sidecar="txt", file=user_folders / "o.csv")).plan())
    assert planned[0].targets == (user_folders / "o.csv",)
    assert planned[0].kept == (f"{library / 'a.txt'}: it has a caption",)
    assert planned[1].targets == (library / "b.txt", user_folders / "o.csv")
    assert not (user_folders / "o.csv").exists()


def test_what_cannot_be_done_is_refused_when_it_is_run_and_not_when_its_results_are_read(job, user_folders):
    with pytest.raises(UsageError, match="no format is known by the ending"):
        job(outputs=Outputs(file=user_folders / "o.xlsx")).run()
    with pytest.raises(UnknownNameError, match="did you mean append"):
        OutputPolicy(existing="apend")


def test_a_run_that_is_given_up_finishes_its_files(job, user_folders):
    with closing(job(outputs=Outputs(file=user_folders / "o.json")).run()) as results:
        next(results)
    assert len(json.loads((user_folders / "o.json").read_text())) == 1
    assert statuses(job(outputs=Outputs(file=user_folders / "o.json")).run()).count(Status.SKIPPED) == 1


def test_fail_fast_ends_after_the_first_image_that_fails(job, library):
    (library / "b.txt").mkdir()
    assert statuses(job(outputs=Outputs(sidecar="txt"), fail_fast=True).run()) == [Status.CAPTIONED, Status.WRITE_FAILED]


def test_a_folder_that_goes_away_is_not_made_again_and_the_next_run_goes_on(job, library, user_folders):
    away = user_folders / "away"
    run = job(Numbering(before=2, happens=lambda: library.rename(away)), outputs=Outputs(sidecar="txt")).run()
    assert statuses(run) == [Status.CAPTIONED] * 2 + [Status.WRITE_FAILED] * 2
    assert not library.exists()
    away.rename(library)
    assert statuses(job(outputs=Outputs(sidecar="txt")).run()) == [Status.SKIPPED] * 2 + [Status.CAPTIONED] * 2


def test_images_that_coco_would_call_the_same_are_named_before_anything_is_written(job, library, user_folders):
    draw_each(library, "deep/a.png")
    with pytest.raises(UsageError, match=r"a\.png and .*deep/a\.png would both be called a\.png"):
        job(outputs=Outputs(file=user_folders / "o.json")).run()


def archive_of(path, folder, *names):
    """Pack images into a tar archive."""
    with tarfile.open(path, "w") as archive:
        for name in names:
            archive.add(folder / name, name)
    return path


def test_an_archive_member_whose_name_is_taken_fails_alone(captioner, library, user_folders):
    names = ("1.png", "deep/1.png", "deep/2.png")
    archive = archive_of(user_folders / "x.tar", draw_each(library, *names), *names)
    outputs = Outputs(file=user_folders / "o.json")
    results = list(CaptionJob([archive], captioner, outputs=outputs, engine=Numbering()).run())
    assert statuses(results) == [Status.CAPTIONED, Status.WRITE_FAILED, Status.CAPTIONED]
    assert "called 1" in results[1].reason
    assert [row["image_id"] for row in json.loads((user_folders / "o.json").read_text())] == [1, 2]


def test_the_name_of_an_archive_is_not_that_of_an_image(captioner, library, user_folders):
    archive = archive_of(user_folders / "1.tar", library, "a.png")
    image = (library / "b.png").rename(user_folders / "1.png")
    job = CaptionJob([archive, image], captioner, outputs=Outputs(file=user_folders / "o.json"), engine=Numbering())
    assert statuses(job.run()) == [Status.CAPTIONED] * 2


class Lacking(FakeCaptionModel):
    """A model that cannot begin captions with a prompt."""

    def why_not(self, capability):
        return "it never could" if capability is Capability.PROMPT else super().why_not(capability)


@pytest.mark.parametrize("act", [CaptionJob.check, CaptionJob.run, lambda job: list(job.plan()), CaptionJob.watch])
def test_what_the_backend_lacks_is_refused_before_an_output_is_opened(monkeypatch, library, user_folders, act):
    monkeypatch.setattr("capgen.captioner.backends.fake.FakeCaptionModel", Lacking)
    install_fake(user_folders / "data")
    (user_folders / "report.jsonl").write_text("kept\n")
    outputs = Outputs(file=user_folders / "o.jsonl", report=user_folders / "report.jsonl")
    captioner = Captioner.load(user_folders / "data/models/fake")
    inputs = Inputs(paths=(str(library),), selection=Selection(recursive=True))
    with pytest.raises(UsageError, match="cannot begin captions with a given text: it never could"):
        act(CaptionJob(inputs, captioner, CaptionRequest(prompt="a dog"), outputs))
    assert not (user_folders / "o.jsonl").exists()
    assert (user_folders / "report.jsonl").read_text() == "kept\n"


@pytest.mark.parametrize("shards", [False, True])
def test_what_an_engine_gives_up_has_a_status_and_the_rest_is_captioned(fake, library, shards):
    outputs = Outputs(shards=str(fake / "o"), shard_size=1) if shards else Outputs(file=fake / "o.jsonl")
    inputs = Inputs(paths=(str(library),), selection=Selection(recursive=True))
    results = list(CaptionJob(inputs, Captioner.load(), outputs=outputs, engine=GivingUp("b.png")).run())
    assert [result.path for result in results] == [library / name for name in NAMES]
    assert [result.status for result in results] == ["captioned", "crashed", "captioned", "captioned"]
    assert results[1].reason == "the worker was lost"


def test_of_an_archive_that_an_engine_gives_up_there_is_no_shard(fake, library):
    archive = tar(fake / "a.tar", [("a.png", (library / "a.png").read_bytes())])
    outputs = Outputs(shards=str(fake / "o"))
    job = CaptionJob(Inputs(paths=(str(archive),)), Captioner.load(), outputs=outputs, engine=GivingUp("a.tar"))
    [result] = job.run()
    assert (result.path, result.status) == (archive, "crashed")
    assert not (fake / "o/a.jsonl").exists()


@pytest.mark.parametrize("more", [{"file": Path("o.jsonl")}, {"standard_output": True}])
def test_shards_and_another_output_for_all_images_are_refused(job, user_folders, more):
    with pytest.raises(UsageError, match="written either into shards or to"):
        job(outputs=Outputs(shards=str(user_folders / "out"), **more)).check()
    with pytest.raises(UsageError, match="no `sidecar`, `xmp`, `embed`, `output_dir`"):
        job(outputs=Outputs(shards=str(user_folders / "out"), output_dir=user_folders / "beside")).check()


@pytest.mark.parametrize("name", ["o.parquet", "o.tar"])
def test_the_command_refuses_a_file_of_shards_in_one_line_and_writes_nothing(library, user_folders, name):
    done = here("caption", library / "a.png", "-o", user_folders / name)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"capgen: {user_folders / name}: {name[1:]} files are written as shards: give --output a folder, ending in /\n"
    )
    assert not (user_folders / name).exists()


def test_the_command_writes_cocos_format_by_the_ending_and_merges_it(library, user_folders):
    for name in ("a", "b"):
        done = here("caption", "--beam", "1", library / f"{name}.png", "-o", user_folders / f"{name}.json")
        assert done.returncode == 0, done.stderr
    done = here("merge", user_folders / "a.json", user_folders / "b.json", "-o", user_folders / "all.json")
    assert done.returncode == 0, done.stderr
    assert [row["image_id"] for row in json.loads((user_folders / "all.json").read_text())] == ["a.png", "b.png"]
