"""What an image came to: statuses, and which of them goes with captions, written files and reasons."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from capgen.captioner.results import Caption, Result, SkipReason
from capgen.errors import ImageError, Status

CAPTIONS = (Caption("a cat", 0.75, -3.0), Caption("cats", 0.5, -4.0))
FAILURES = [status for status in Status if status.failed]


def test_the_stored_names_of_statuses_are_these():
    assert [str(status) for status in Status] == [
        "captioned",
        "skipped",
        "low-confidence",
        "passed-over",
        "unreadable",
        "unsupported",
        "too-large",
        "denied",
        "missing",
        "crashed",
        "write-failed",
    ]


def test_the_names_that_statuses_were_stored_under_before_are_still_read():
    assert Status("unsure") is Status.LOW_CONFIDENCE
    assert Status("vanished") is Status.MISSING


def test_an_unknown_status_is_refused():
    with pytest.raises(ValueError, match="'fine' is not a valid Status"):
        Status("fine")
    with pytest.raises(ValueError, match="'fine' is not a valid Status"):
        Result(None, "fine")


def test_all_but_four_statuses_are_failures():
    good = {Status.CAPTIONED, Status.SKIPPED, Status.LOW_CONFIDENCE, Status.PASSED_OVER}
    assert {status for status in Status if not status.failed} == good


def test_a_status_is_written_into_json_by_its_name_as_a_value_and_as_a_key():
    assert json.dumps({Status.TOO_LARGE: Status.DENIED}) == '{"too-large": "denied"}'


def test_a_captioned_image_has_captions_the_best_of_which_it_gives():
    result = Result(Path("a.jpg"), Status.CAPTIONED, CAPTIONS, written=(Path("a.txt"),))
    assert (result.caption, result.confidence, result.failed) == ("a cat", 0.75, False)


def test_a_stored_name_becomes_the_status():
    assert Result(None, "captioned", CAPTIONS).status is Status.CAPTIONED


def test_an_image_cannot_be_captioned_without_a_caption():
    with pytest.raises(ValueError, match="an image that is captioned has a caption"):
        Result(None, Status.CAPTIONED)


@pytest.mark.parametrize("status", [Status.SKIPPED, *(status for status in FAILURES if status != Status.WRITE_FAILED)])
def test_an_image_that_was_skipped_or_not_read_has_no_captions(status):
    assert Result(None, status).caption is Result(None, status).confidence is None
    with pytest.raises(ValueError, match="has no captions"):
        Result(None, status, CAPTIONS)
    with pytest.raises(ValueError, match="has no captions"):
        replace(Result(None, Status.CAPTIONED, CAPTIONS), status=status)


@pytest.mark.parametrize("status", [Status.LOW_CONFIDENCE, Status.WRITE_FAILED])
def test_a_caption_that_was_not_written_may_be_kept_or_left_out(status):
    assert Result(None, status, CAPTIONS).caption == "a cat"
    assert Result(None, status).caption is None


@pytest.mark.parametrize("status", [status for status in Status if status not in ("captioned", "write-failed")])
def test_only_the_caption_of_a_captioned_image_was_written(status):
    with pytest.raises(ValueError, match="nothing was written for an image that is"):
        Result(Path("a.jpg"), status, written=(Path("a.txt"),))


@pytest.mark.parametrize("reason", SkipReason)
def test_only_a_skipped_image_has_a_reason_for_being_skipped(reason):
    assert Result(None, Status.SKIPPED, reason=reason.sentence, skip_reason=reason).skip_reason is reason
    with pytest.raises(ValueError, match="was not skipped"):
        Result(None, Status.CAPTIONED, CAPTIONS, skip_reason=reason)


def test_what_captions_cannot_be_changed():
    with pytest.raises(AttributeError):
        Result(None, Status.SKIPPED).status = Status.CAPTIONED


@pytest.mark.parametrize("status", FAILURES)
def test_an_image_error_keeps_its_status_in_another_process(status):
    error = pickle.loads(pickle.dumps(ImageError(status, "it is damaged")))
    assert (error.status, str(error)) == (status, "it is damaged")
    assert error.status is status


@pytest.mark.parametrize("status", [status for status in Status if not status.failed])
def test_an_image_error_is_a_failure(status):
    with pytest.raises(ValueError, match="did not fail"):
        ImageError(status, "all is well")
