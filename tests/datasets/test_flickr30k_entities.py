"""Flickr30k Entities: marked phrases, one file an image, a list of images a split."""

from hypothesis import given, settings
from hypothesis import strategies as st
from support.layouts import write

from capgen import datasets
from capgen.datasets.validation import LoadedSource, validate

SENTENCES = (
    "[/EN#283585/people Two young guys] with [/EN#283587/bodyparts shaggy hair] "
    "look at [/EN#283586/bodyparts/other their hands] .\n"
    "[/EN#0/notvisual It] is [/EN#283588/scene the yard] .\n"
)
FILES = {
    "Sentences/1000092795.txt": SENTENCES,
    "Sentences/10002456.txt": "A dog .\n",
    "Sentences/7.txt": "[/EN#1/animals A cat] .\n",
    "train.txt": "1000092795\n",
    "val.txt": "10002456\n",
    "test.txt": "36979\n",
    "flickr30k-images/1000092795.jpg": None,
    "flickr30k-images/10002456.jpg": None,
    "flickr30k-images/36979.jpg": None,
    "flickr30k-images/7.jpg": None,
}


def test_captions_lose_their_marks_and_images_have_the_splits_of_the_lists(tmp_path):
    report = validate([LoadedSource(datasets.read(write(tmp_path, FILES)))])
    assert {image.path: (image.split, image.captions) for image in report.images} == {
        f"{tmp_path}/flickr30k-images/1000092795.jpg": (
            "train",
            ("Two young guys with shaggy hair look at their hands .", "It is the yard ."),
        ),
        f"{tmp_path}/flickr30k-images/10002456.jpg": ("dev", ("A dog .",)),
    }
    assert [(problem.kind, problem.where) for problem in report.problems] == [
        ("image without a caption", "36979.jpg"),
        ("image in no split", "7.jpg"),
    ]


def test_the_folder_of_captions_may_be_given_itself_and_the_images_may_lie_beside_the_folder_around_it(tmp_path):
    write(tmp_path, {f"Flickr30kEntities/{name}" if "jpg" not in name else name: text for name, text in FILES.items()})
    for source in (tmp_path / "Flickr30kEntities", tmp_path / "Flickr30kEntities/Sentences"):
        assert len(validate([LoadedSource(datasets.read(source))]).images) == 2


def test_without_lists_there_are_no_splits(tmp_path):
    dataset = datasets.read(write(tmp_path, {"Sentences/1.txt": SENTENCES}))
    assert [(example.image, example.split) for example in dataset.examples] == [("1.jpg", None)]


PHRASE = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="[]"), min_size=1)


@settings(deadline=None)
@given(phrases=st.lists(PHRASE, min_size=1, max_size=6), marked=st.lists(st.booleans(), min_size=6))
def test_any_phrase_comes_back_from_its_mark(tmp_path_factory, phrases, marked):
    folder = tmp_path_factory.getbasetemp() / "entities"
    written = [f"[/EN#{n}/people {one}]" if marked[n] else one for n, one in enumerate(phrases)]
    write(folder, {"Sentences/1.txt": f"[/EN#9/other It] {' '.join(written)}\n"})
    assert datasets.read(folder).examples[0].captions == ("It " + " ".join(phrases),)
