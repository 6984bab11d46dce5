"""``Captioner``, the captioner that a program uses: every kind of source, any number of them, from any thread."""

import io
import itertools
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.drawing import COLOURS, SHAPES, draw
from support.paths import ROOT

from capgen import Captioner, CaptionRequest
from capgen.captioner.captioner import BATCH
from capgen.captioner.request import RequestFields
from capgen.captioner.results import Result
from capgen.errors import BundleError, ImageError, UnknownNameError, UsageError
from capgen.storage.pipeline import AHEAD

CAT = ROOT / "examples/cat.jpg"


@pytest.fixture(scope="module")
def captioner():
    """The one that ships."""
    return Captioner.load(threads=2)


@pytest.fixture(scope="module")
def caption(captioner):
    """What it says of the cat."""
    return captioner.caption(CAT)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Three batches of drawings, and a few more."""
    folder = tmp_path_factory.mktemp("images")
    for index in range(3 * BATCH + 5):
        draw(folder / f"{index:03}.png", list(COLOURS)[index % 4], SHAPES[index % 3], index)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def results(captioner, images):
    """What it says of each drawing alone."""
    return [Result(path, "captioned", (captioner.caption(path),)) for path in images]


def same(found, expected):
    """Whether results are the same, but for the rounding of other batches and numbers of threads."""
    assert [(one.path, one.status) for one in found] == [(one.path, one.status) for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert [caption.text for caption in one.captions] == [caption.text for caption in other.captions]
        for left, right in zip(one.captions, other.captions, strict=True):
            assert left.confidence == pytest.approx(right.confidence, abs=1e-3)
            assert left.log_probability == pytest.approx(right.log_probability, abs=1e-2)
    return True


# The package


def in_a_process_of_its_own(script):
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_the_package_loads_nothing_heavy():
    script = "import capgen, sys; print(*sys.modules)"
    heavy = {"numpy", "PIL", "tensorflow", "keras", "ai_edge_litert", "typer", "rich"}
    assert not heavy & set(in_a_process_of_its_own(script))


def test_captioning_from_a_program_loads_no_tensorflow():
    script = f"import sys; from capgen import Captioner; Captioner.load().caption({str(CAT)!r}); print(*sys.modules)"
    loaded = set(in_a_process_of_its_own(script))
    assert "ai_edge_litert" in loaded
    assert not {"tensorflow", "keras", "typer", "rich", "matplotlib"} & loaded


def test_the_package_offers_the_captioner_and_nothing_that_is_not_there():
    import capgen
    from capgen.captioner.captioner import Captioner as Same

    assert capgen.Captioner is Same
    with pytest.raises(AttributeError, match="has no attribute 'Captionner'"):
        _ = capgen.Captionner


def test_a_captioner_that_does_not_exist_is_named(user_folders):
    with pytest.raises(UnknownNameError, match="photo-en-v1"):
        Captioner.load("everyda")


def test_a_folder_that_is_no_captioner_is_named(user_folders):
    (user_folders / "empty").mkdir()
    with pytest.raises(BundleError):
        Captioner.load(user_folders / "empty")


# One image


def pixels(path=CAT):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


SOURCES = {
    "a path": lambda: CAT,
    "the name of a file": lambda: str(CAT),
    "bytes": CAT.read_bytes,
    "a byte array": lambda: bytearray(CAT.read_bytes()),
    "a view of bytes": lambda: memoryview(CAT.read_bytes()),
    "a file": lambda: io.BytesIO(CAT.read_bytes()),
    "a PIL image": lambda: Image.open(CAT),
    "an array": pixels,
    "an array that is not in one piece": lambda: np.asfortranarray(pixels()),
    "floating-point numbers": lambda: pixels().astype(np.float32) / 255,
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_an_image_has_the_same_caption_however_it_is_given(captioner, caption, source):
    given = source()
    found = captioner.caption(given)
    assert found.text == caption.text
    assert found.confidence == pytest.approx(caption.confidence, abs=0.05)  # a file is decoded at a reduced scale
    if isinstance(given, Image.Image):
        given.close()


def test_an_open_file_stays_open(captioner, caption):
    with CAT.open("rb") as file:
        assert captioner.caption(file) == caption
        assert not file.closed


def test_a_caption_as_text_is_its_words(caption):
    assert str(caption) == caption.text
    assert f"{caption}" == caption.text
    assert len(caption.text.split()) >= 3


@pytest.mark.slow
def test_a_confidence_is_between_0_and_1_and_a_log_probability_below_0(captioner, images):
    for source in (CAT, *images[:8]):
        for found in (captioner.caption(source), captioner.caption(source, CaptionRequest(temperature=2.0, seed=1))):
            assert 0 < found.confidence < 1
            assert found.log_probability < 0


def test_the_same_image_has_the_same_caption_again(captioner, caption):
    assert captioner.caption(CAT) == captioner.caption(CAT) == caption
    same(
        [Result(CAT, "captioned", (Captioner.load(threads=1).caption(CAT),))],
        [Result(CAT, "captioned", (caption,))],
    )


@pytest.mark.parametrize(
    ("source", "status"),
    [
        (b"", "unsupported"),
        (b"no image", "unsupported"),
        (CAT.read_bytes()[:200], "unreadable"),
        (ROOT / "no such file.jpg", "missing"),
        (io.StringIO("text"), "unsupported"),
        (np.zeros((0, 3, 3), np.uint8), "unreadable"),
        (np.zeros((4, 4, 3), np.int64), "unsupported"),
    ],
)
def test_what_cannot_be_captioned_says_why(captioner, source, status):
    with pytest.raises(ImageError) as error:
        captioner.caption(source)
    assert error.value.status == status
    assert str(error.value)


@pytest.mark.parametrize("source", [None, 7, ["a.jpg"]])
def test_what_cannot_be_an_image_is_a_mistake_of_the_program(captioner, source):
    with pytest.raises(TypeError, match="an image can be"):
        captioner.caption(source)


# Many images


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH + 5])
def test_a_caption_does_not_depend_on_its_batch_or_the_number_of_threads(images, results, threads, count):
    found = list(Captioner.load(threads=threads).caption_many(images[:count]))
    assert same(found, results[:count])


@pytest.mark.slow
def test_the_order_of_images_makes_no_difference(captioner, images, results):
    assert same(list(captioner.caption_many(reversed(images))), results[::-1])


def test_good_and_bad_sources_come_out_in_order_each_with_its_path_if_it_has_one(captioner, caption, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    passed = Result(Path("seen.jpg"), "skipped", reason="it has a caption")
    sources = [
        CAT, tmp_path / "notes.txt", CAT.read_bytes(), passed, str(CAT), tmp_path / "gone.jpg", b"", pixels(),
        io.BytesIO(CAT.read_bytes()),
    ]  # fmt: skip
    found = list(captioner.caption_many(sources))
    assert [(one.path, one.status) for one in found] == [
        (CAT, "captioned"),
        (tmp_path / "notes.txt", "unsupported"),
        (None, "captioned"),
        (Path("seen.jpg"), "skipped"),
        (CAT, "captioned"),
        (tmp_path / "gone.jpg", "missing"),
        (None, "unsupported"),
        (None, "captioned"),
        (None, "captioned"),
    ]
    assert found[3] is passed
    assert {one.caption for one in found if one.status == "captioned"} == {caption.text}
    assert all(bool(one.reason) != (one.status == "captioned") for one in found)
    assert all(bool(one.captions) == (one.status == "captioned") for one in found)


@pytest.mark.slow
@pytest.mark.parametrize("share", [2, 7, BATCH, 10_000])
def test_bad_files_among_many_take_no_caption_from_the_others(captioner, images, results, share):
    bad = Result(None, "unsupported")
    sources = [b"no image" if index % share == 0 else path for index, path in enumerate(images)]
    expected = [bad if index % share == 0 else result for index, result in enumerate(results)]
    assert same(list(captioner.caption_many(sources)), expected)


def test_a_whole_batch_of_bad_files_is_no_end(captioner, images, results):
    found = list(captioner.caption_many([*[b"no image"] * 2 * BATCH, *images[:3]]))
    assert [one.status for one in found[: 2 * BATCH]] == ["unsupported"] * 2 * BATCH
    assert same(found[2 * BATCH :], results[:3])


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_sources_is_read_only_a_little_ahead(images, threads):
    read = []

    def sources():
        for index in itertools.count():
            read.append(index)
            yield images[index % 3]

    most = (AHEAD * threads + 2) * BATCH
    results = Captioner.load(threads=threads).caption_many(sources())
    assert read == []
    for number, result in enumerate(itertools.islice(results, 4 * BATCH)):
        assert result.path == images[number % 3]
        assert len(read) <= number + most
    before = len(read)
    results.close()
    assert len(read) == before


@pytest.mark.slow
def test_a_run_that_is_given_up_leaves_no_thread(captioner, images):
    before = threading.active_count()
    results = captioner.caption_many(itertools.cycle(images))
    next(results)
    results.close()
    assert threading.active_count() == before


@pytest.mark.slow
def test_what_the_sources_raise_reaches_the_program_and_the_captioner_goes_on(captioner, images, caption):
    def sources():
        yield from images
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        list(captioner.caption_many(sources()))
    assert captioner.caption(CAT).text == caption.text


def test_sources_may_ask_the_captioner_themselves(captioner, images, results):
    def sources():
        for path in images[:3]:
            captioner.caption(path)
            yield path

    assert same(list(captioner.caption_many(sources())), results[:3])


# Many threads


@pytest.mark.slow
def test_many_threads_at_once_get_what_one_gets(captioner, images, results):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(captioner.caption, images))
    assert [caption.text for caption in found] == [result.caption for result in results]


@pytest.mark.slow
def test_many_runs_at_once_get_what_one_gets(captioner, images, results):
    parts = [images, images[::-1], images[:5], images[5 : 5 + BATCH + 1]]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda part: list(captioner.caption_many(part)), parts))
    expected = [results, results[::-1], results[:5], results[5 : 5 + BATCH + 1]]
    assert all(itertools.starmap(same, zip(found, expected, strict=True)))


# Requests


def test_a_request_for_nothing_is_the_captioners_own_way(captioner, caption):
    assert captioner.decoding() == captioner.decoding(CaptionRequest()) == captioner.bundle.description.decoding
    assert captioner.caption(CAT, CaptionRequest()) == caption


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"num_beams": 2, "num_captions": 3}, "num_beams=3"),
        ({"num_captions": 0}, "at least 1"),
        ({"min_words": 0}, "at least 1"),
        ({"max_words": 3, "min_words": 5}, "cannot have 5 or more words"),
        ({"max_words": 1, "prompt": "two dogs"}, "begin with a prompt of 2 words"),
        ({"temperature": -1.0}, "not negative"),
        ({"temperature": float("nan")}, "not negative"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"temperature": 1.0, "seed": -1}, "not negative"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(captioner, request_, message):
    with pytest.raises(UsageError, match=message):
        captioner.decoding(CaptionRequest(**request_))


@pytest.mark.parametrize("request_", [{"num_beams": 0}, {"max_words": 0}])
def test_a_request_for_nought_is_refused(captioner, request_):
    with pytest.raises(UsageError):
        captioner.decoding(CaptionRequest(**request_))


@pytest.mark.parametrize("prompt", ["a cat", "A Cat", "  two ", "Zyzzyva, qwrtz:", "café—", "“Look!” a", "!!", "北京"])
@pytest.mark.parametrize("more", [{}, {"num_beams": 1}, {"temperature": 1.0, "seed": 3}])
def test_a_caption_goes_on_from_the_text_that_it_begins_with(captioner, prompt, more):
    found = captioner.caption(CAT, CaptionRequest(prompt=prompt, **more))
    assert found.text.startswith(prompt.strip())
    assert found.text[len(prompt.strip()) :][:1] in ("", " ")
    assert found.text == found.text.strip()
    assert "<unknown>" not in found.text
    assert 0 < found.confidence < 1


def test_what_fills_a_slot_goes_by_the_prompt_before_it(captioner):
    found = captioner.caption(ROOT / "examples/coffee.jpg", CaptionRequest(prompt="a mug of"))
    assert found.text.startswith("a mug of coffee")


def test_a_long_prompt_leaves_room_to_go_on(captioner):
    prompt = " ".join(["word"] * 40)
    assert len(captioner.caption(CAT, CaptionRequest(prompt=prompt, min_words=43)).text.split()) >= 43


@pytest.mark.parametrize("more", [{}, {"num_beams": 1}, {"temperature": 1.0, "seed": 3}])
def test_suppressed_words_are_not_said(captioner, caption, more):
    suppressed = [*caption.text.split(), "qwrtz"]
    found = captioner.caption(CAT, CaptionRequest(suppressed_words=suppressed, **more))
    assert not set(found.text.split()) & set(suppressed)
    assert found.text


def test_words_are_suppressed_however_they_are_written(captioner, caption):
    word = caption.text.split()[1]
    for written in (word.upper(), f" {word}, ", f"{word} qwrtz"):
        assert word not in captioner.caption(CAT, CaptionRequest(suppressed_words=[written])).text.split()


def test_suppressing_nearly_every_word_is_refused(captioner):
    request = CaptionRequest(suppressed_words=captioner.bundle.vocabulary.entries[4:])
    with pytest.raises(UsageError, match="leave it some"):
        captioner.caption(CAT, request)


@pytest.mark.parametrize("more", [{}, {"num_beams": 1}, {"temperature": 1.0, "seed": 3}])
@pytest.mark.parametrize(("fewest", "most"), [(1, 2), (4, 4), (15, 16), (30, None)])
def test_a_caption_has_as_many_words_as_are_asked_for(captioner, fewest, most, more):
    request = CaptionRequest(min_words=fewest, max_words=most, **more)
    assert fewest <= len(captioner.caption(CAT, request).text.split()) <= (most or 30)


def test_several_captions_are_distinct_and_the_best_comes_first(captioner, caption):
    [found] = captioner.caption_many([CAT], CaptionRequest(num_captions=12))
    assert found.captions[0].text == found.caption
    assert len({one.text for one in found.captions}) == len(found.captions) == 12
    confidences = [one.confidence for one in found.captions]
    assert confidences == sorted(confidences, reverse=True)


@pytest.mark.slow
def test_sampled_captions_are_the_same_again_with_the_same_seed_in_any_batch(captioner, images):
    request = CaptionRequest(temperature=1.0, top_p=0.9, num_captions=3, seed=5)
    together = list(captioner.caption_many(images, request))
    for index in (0, BATCH - 1, BATCH, len(images) - 1):
        [alone] = captioner.caption_many([images[index]], request)
        assert same([together[index]], [alone])
    [other] = captioner.caption_many(images[:1], CaptionRequest(temperature=1.0, top_p=0.9, num_captions=3, seed=6))
    assert other.captions != together[0].captions


def test_a_top_p_alone_samples_words(captioner):
    assert captioner.decoding(CaptionRequest(top_p=0.9)).temperature == 1.0
    assert captioner.decoding(CaptionRequest(top_p=0.9, temperature=0.5)).temperature == 0.5
    assert not CaptionRequest().sampling
    assert not captioner.decoding().sampling


def test_sampling_many_captions_until_the_longest_length_says_nothing_else(captioner):
    [found] = captioner.caption_many([CAT], CaptionRequest(temperature=2.0, num_captions=30, max_words=8))
    assert len({one.text for one in found.captions}) == len(found.captions) > 10
    assert all(1 <= len(one.text.split()) <= 8 for one in found.captions)


def test_options_are_given_as_keywords_alone_or_in_place_of_those_of_a_request(captioner):
    request = CaptionRequest(prompt="a photo of", num_beams=3)
    expected = captioner.caption(CAT, request)
    assert captioner.caption(CAT, prompt="a photo of", num_beams=3) == expected
    assert captioner.caption(CAT, CaptionRequest(prompt="there is", num_beams=3), prompt="a photo of") == expected
    (result,) = captioner.caption_many([CAT], prompt="a photo of", num_beams=3)
    assert result.captions == (expected,)


@pytest.mark.parametrize("method", ["caption", "caption_many"])
def test_an_option_that_does_not_exist_is_refused_with_the_nearest(captioner, method):
    with pytest.raises(UnknownNameError, match="no option of a caption named 'num_beam'; did you mean num_beams"):
        getattr(captioner, method)(CAT, num_beam=3)


def test_the_keywords_of_options_are_the_fields_of_a_request():
    assert RequestFields.__annotations__ == {field.name: field.type for field in fields(CaptionRequest)}


@pytest.mark.parametrize("form", ["text", "path", "bytes", "file", "pillow", "array"])
def test_many_of_a_single_image_is_that_image(captioner, caption, form):
    forms = {
        "text": lambda: str(CAT),
        "path": lambda: CAT,
        "bytes": CAT.read_bytes,
        "file": lambda: io.BytesIO(CAT.read_bytes()),
        "pillow": lambda: Image.open(CAT),
        "array": lambda: np.asarray(Image.open(CAT).convert("RGB")),
    }
    (result,) = captioner.caption_many(forms[form]())
    assert result.captions == (caption,)


def test_many_of_an_array_of_images_is_each_of_them(captioner):
    assert len(list(captioner.caption_many(np.zeros((3, 8, 8, 3), np.uint8)))) == 3


def test_a_single_caption_is_scored_as_one(captioner):
    assert captioner.score(CAT, "a cat on a sofa") == captioner.score(CAT, ["a cat on a sofa"])
