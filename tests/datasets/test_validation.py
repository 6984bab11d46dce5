"""From rows to a prepared data set: what is kept, what is left out and why, which split, what is saved."""

import json
from pathlib import Path

import pytest
from PIL import Image

from capgen.datasets import prepared
from capgen.datasets.layout import Example, LoadedDataset, Problem
from capgen.datasets.prepared import PreparedDataset, PreparedImage
from capgen.datasets.validation import LoadedSource, validate
from capgen.errors import DataError, UnknownNameError


def draw_image(path, number):
    """Save a small image that no other number gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (number % 256, number // 256, 90)).save(path, "PNG")


def checked(folder, *rows, **options):
    """Validate rows whose images lie in ``folder``."""
    return validate([LoadedSource(LoadedDataset(list(rows), [folder]))], **options)


def problems_of(report):
    return [(problem.kind, problem.where) for problem in report.problems]


def kept(report):
    return {image.path.rpartition("/")[2]: image for image in report.images}


def splits_of(report):
    return {name: image.split for name, image in kept(report).items()}


def many(folder, numbers):
    """Draw an image of each number and return their rows, without splits."""
    for number in numbers:
        draw_image(folder / f"{number}.png", number)
    return [Example(f"{number}.png", ("A dog.",)) for number in numbers]


def test_a_good_row_is_kept_with_its_captions_split_and_content_hash(tmp_path):
    draw_image(tmp_path / "1.png", 1)
    report = checked(tmp_path, Example("1.png", ("A dog.", "A pet."), "test"))
    (only,) = report.images
    assert (only.path, only.captions, only.split) == (str(tmp_path / "1.png"), ("A dog.", "A pet."), "test")
    assert len(only.image_hash) == 64
    assert report.problems == []
    assert report.random_splits == ()


def test_a_missing_image_is_reported_and_left_out(tmp_path):
    report = checked(tmp_path, Example("none.png", ("A dog.",), "train"))
    assert problems_of(report) == [("missing image", "none.png")]
    assert report.images == []


def test_what_is_wrong_with_the_image_of_a_row_is_named_by_the_row(tmp_path):
    draw_image(tmp_path / "1.png", 1)
    report = checked(
        tmp_path,
        Example("none.png", ("A dog.",), "train", where="t.csv:2"),
        Example("1.png", ("", "A dog."), "train", where="t.csv:3"),
    )
    assert [(problem.kind, problem.where, problem.detail) for problem in report.problems] == [
        ("missing image", "t.csv:2", f"none.png: not in {tmp_path}"),
        ("empty caption", "t.csv:3", "1.png"),
    ]


def test_a_missing_image_that_is_in_no_official_split_is_a_caption_without_an_image(tmp_path):
    report = checked(tmp_path, Example("2258277193_586949ec62.jpg.1", ("People.",), "unused"))
    assert problems_of(report) == [("caption without an image", "2258277193_586949ec62.jpg.1")]


def test_an_image_that_is_in_no_official_split_is_reported_and_left_out(tmp_path):
    draw_image(tmp_path / "1.png", 1)
    report = checked(tmp_path, Example("1.png", ("A dog.",), "unused"))
    assert problems_of(report) == [("image in no split", "1.png")]
    assert report.images == []


@pytest.mark.parametrize("content", [b"", b"not an image", b"\xff\xd8\xff\xe0 cut"])
def test_an_unreadable_image_is_reported_and_left_out(tmp_path, content):
    (tmp_path / "1.png").write_bytes(content)
    report = checked(tmp_path, Example("1.png", ("A dog.",), "train"))
    assert problems_of(report) == [("unreadable image", str(tmp_path / "1.png"))]
    assert report.images == []


def test_an_image_without_a_caption_is_reported_and_left_out(tmp_path):
    draw_image(tmp_path / "1.png", 1)
    report = checked(tmp_path, Example("1.png", (), "train"))
    assert problems_of(report) == [("image without a caption", "1.png")]
    assert report.images == []


@pytest.mark.parametrize("empty", ["", "  ", " .", "?!", "—"])
def test_an_empty_caption_is_reported_and_the_others_are_kept(tmp_path, empty):
    draw_image(tmp_path / "1.png", 1)
    report = checked(tmp_path, Example("1.png", (empty, "A dog."), "train"))
    assert problems_of(report) == [("empty caption", "1.png")]
    assert kept(report)["1.png"].captions == ("A dog.",)


def test_an_image_whose_captions_are_all_empty_is_left_out(tmp_path):
    draw_image(tmp_path / "1.png", 1)
    assert checked(tmp_path, Example("1.png", ("", "."), "train")).images == []


def test_the_rows_of_one_image_are_joined(tmp_path):
    draw_image(tmp_path / "1.png", 1)
    report = checked(tmp_path, Example("1.png", ("A dog.",), "train"), Example("1.png", ("A pet.",), "train"))
    assert kept(report)["1.png"].captions == ("A dog.", "A pet.")
    assert report.problems == []


def test_what_the_reading_could_not_read_is_reported_first(tmp_path):
    problem = Problem("malformed row", "t.csv:3")
    dataset = LoadedDataset([Example("none.png", ("A dog.",))], [tmp_path], [problem])
    assert validate([LoadedSource(dataset)]).problems[0] == problem


def test_the_captions_of_a_second_file_of_the_same_content_are_joined_to_the_first_and_it_is_reported(tmp_path):
    draw_image(tmp_path / "1.png", 1)
    draw_image(tmp_path / "copy.png", 1)
    report = checked(
        tmp_path, Example("1.png", ("A dog.", "A dog."), "train"), Example("copy.png", ("A pet.", "A dog."), "train")
    )
    assert [(p.kind, p.where, p.detail) for p in report.problems] == [
        ("duplicate image, joined", str(tmp_path / "copy.png"), f"the same content as {tmp_path}/1.png")
    ]
    assert {name: image.captions for name, image in kept(report).items()} == {"1.png": ("A dog.", "A dog.", "A pet.")}


def test_an_image_downloaded_once_a_caption_is_one_image_with_all_captions_in_one_split(tmp_path):
    rows = []
    for number in range(20):
        for copy in range(5):
            draw_image(tmp_path / f"{number}-{copy}.png", number)
            rows.append(Example(f"{number}-{copy}.png", (f"Caption {copy}.",)))
    report = checked(tmp_path, *rows)
    assert [len(image.captions) for image in report.images] == [5] * 20
    assert [problem.kind for problem in report.problems] == ["duplicate image, joined"] * 80
    assert sorted(image.split for image in report.images) == ["dev"] * 2 + ["test"] * 2 + ["train"] * 16


@pytest.mark.parametrize(
    ("splits", "kept_in"),
    [
        (("train", "test"), "test"),
        (("test", "train"), "test"),
        (("dev", "test"), "test"),
        (("train", "dev"), "dev"),
        (("dev", "train"), "dev"),
        ((None, "train"), "train"),
    ],
)
def test_files_of_the_same_content_in_two_splits_are_kept_in_test_over_dev_over_train(tmp_path, splits, kept_in):
    draw_image(tmp_path / "0.png", 7)
    draw_image(tmp_path / "1.png", 7)
    report = checked(tmp_path, *(Example(f"{index}.png", ("A dog.",), split) for index, split in enumerate(splits)))
    expected, left = f"{splits.index(kept_in)}.png", f"{1 - splits.index(kept_in)}.png"
    assert splits_of(report) == {expected: kept_in}
    assert problems_of(report) == [("image in two splits", str(tmp_path / left))]


def test_rows_that_put_one_image_in_two_splits_are_reported_and_it_stays_in_one(tmp_path):
    draw_image(tmp_path / "1.png", 1)
    report = checked(tmp_path, Example("1.png", ("A dog.",), "test"), Example("1.png", ("A pet.",), "train"))
    assert problems_of(report) == [("image in two splits", str(tmp_path / "1.png"))]
    assert splits_of(report) == {"1.png": "test"}


def test_rows_that_put_one_image_in_two_splits_keep_it_in_test_whatever_their_order(tmp_path):
    draw_image(tmp_path / "1.png", 1)
    report = checked(tmp_path, Example("1.png", ("A dog.",), "train"), Example("1.png", ("A pet.",), "test"))
    assert splits_of(report) == {"1.png": "test"}


def two_sources(tmp_path, splits, **second):
    """Validate the same image in two sources; ``second`` is more of the second one."""
    loaded = []
    for folder, split in zip("ab", splits, strict=True):
        draw_image(tmp_path / folder / "1.png", 1)
        loaded.append(LoadedDataset([Example("1.png", (f"Caption {folder}.",), split)], [tmp_path / folder]))
    return validate([LoadedSource(loaded[0]), LoadedSource(loaded[1], **second)])


def test_the_same_image_in_one_split_of_two_sources_is_kept_once_with_all_captions(tmp_path):
    report = two_sources(tmp_path, ("train", "train"))
    assert [(image.path, image.captions) for image in report.images] == [
        (str(tmp_path / "a/1.png"), ("Caption a.", "Caption b."))
    ]
    assert problems_of(report) == [("duplicate image, joined", str(tmp_path / "b/1.png"))]


def test_captions_of_another_domain_are_not_joined(tmp_path):
    report = two_sources(tmp_path, ("train", "train"), domain="web")
    assert [image.captions for image in report.images] == [("Caption a.",)]
    assert problems_of(report) == [("duplicate image, left out", str(tmp_path / "b/1.png"))]


def test_an_image_of_test_is_compared_with_the_captions_of_its_own_source_alone(tmp_path):
    report = two_sources(tmp_path, ("test", "train"))
    assert [(image.split, image.captions) for image in report.images] == [("test", ("Caption a.",))]
    assert problems_of(report) == [("image in two splits", str(tmp_path / "b/1.png"))]


def test_each_source_gives_its_images_its_weight(tmp_path):
    draw_image(tmp_path / "1.png", 1)
    draw_image(tmp_path / "2.png", 2)
    loaded = [LoadedDataset([Example(name, ("A dog.",), "train")], [tmp_path]) for name in ("1.png", "2.png")]
    report = validate([LoadedSource(dataset, weight) for dataset, weight in zip(loaded, (1.0, 2.5), strict=True)])
    assert [image.weight for image in report.images] == [1.0, 2.5]


def test_a_source_may_only_train(tmp_path):
    for number in range(4):
        draw_image(tmp_path / f"{number}.png", number)
    rows = [Example(f"{n}.png", ("A dog.",), split) for n, split in enumerate(("train", "dev", "test", None))]
    report = validate([LoadedSource(LoadedDataset(rows, [tmp_path]), train_only=True, domain="pets")])
    assert [(Path(p.path).name, p.split, p.domain) for p in report.images] == [
        ("0.png", "train", "pets"),
        ("3.png", "train", "pets"),
    ]
    assert not report.problems
    assert report.random_splits == ()


def test_images_are_left_out_by_their_names(tmp_path):
    for number in range(3):
        draw_image(tmp_path / f"{number}.png", number)
    rows = [Example(f"{number}.png", ("A dog.",), "train") for number in range(3)]
    report = validate([LoadedSource(LoadedDataset(rows, [tmp_path]))], excluded=["1.png"])
    assert set(kept(report)) == {"0.png", "2.png"}


def test_official_splits_are_kept_and_only_the_rest_is_split_at_random(tmp_path):
    rows = many(tmp_path, range(20))
    official = [Example(row.image, row.captions, "train") for row in rows[:10]]
    report = checked(tmp_path, *official, *rows[10:])
    assert [image.split for image in report.images][:10] == ["train"] * 10
    assert sorted(image.split for image in report.images[10:]) == ["dev", "test", *["train"] * 8]
    assert report.random_splits == ("train", "dev", "test")


def test_a_tenth_is_chosen_at_random_for_each_of_dev_and_test(tmp_path):
    report = checked(tmp_path, *many(tmp_path, range(40)))
    random = [image.split for image in report.images]
    assert (random.count("train"), random.count("dev"), random.count("test")) == (32, 4, 4)


@pytest.mark.parametrize(("count", "expected"), [(1, ["train"]), (2, ["dev", "train"]), (3, ["dev", "test", "train"])])
def test_few_images_still_leave_one_to_train_on(tmp_path, count, expected):
    report = checked(tmp_path, *many(tmp_path, range(count)))
    assert sorted(image.split for image in report.images) == expected


@pytest.mark.parametrize(("count", "moved"), [(1, 0), (2, 1), (16, 2), (40, 4)])
def test_where_there_is_no_dev_split_a_tenth_of_train_is_chosen_at_random_for_it(tmp_path, count, moved):
    rows = many(tmp_path, range(count + 4))
    split = [Example(row.image, row.captions, "train" if n < count else "test") for n, row in enumerate(rows)]
    report = checked(tmp_path, *split)
    found = [image.split for image in report.images]
    assert found[count:] == ["test"] * 4
    assert (found.count("train"), found.count("dev")) == (count - moved, moved)
    assert report.random_splits == (("dev",) if moved else ())
    assert splits_of(checked(tmp_path, *reversed(split))) == splits_of(report)


def test_no_dev_split_is_chosen_from_images_that_only_train_or_are_of_another_domain(tmp_path):
    own, others = many(tmp_path / "own", range(20)), many(tmp_path / "others", range(100, 140))
    sources = [
        LoadedSource(LoadedDataset([Example(o.image, o.captions, "train") for o in own], [tmp_path / "own"])),
        LoadedSource(LoadedDataset(others[:20], [tmp_path / "others"]), train_only=True),
        LoadedSource(
            LoadedDataset(
                [Example(o.image, o.captions, "dev" if n < 5 else "train") for n, o in enumerate(others[20:])],
                [tmp_path / "others"],
            ),
            domain="web",
        ),
    ]
    dev = {name for name, split in splits_of(validate(sources)).items() if split == "dev"}
    assert dev >= {row.image for row in others[20:25]}
    assert len(dev & {row.image for row in own}) == len(dev) - 5 == 2


def test_a_data_set_of_test_images_alone_stays_one(tmp_path):
    report = checked(tmp_path, *(Example(row.image, row.captions, "test") for row in many(tmp_path, range(5))))
    assert [image.split for image in report.images] == ["test"] * 5
    assert report.random_splits == ()


def test_an_image_keeps_the_name_of_the_link_that_the_source_names(tmp_path):
    draw_image(tmp_path / "blobs/0a1b", 1)
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots/dog.png").symlink_to("../blobs/0a1b")
    report = checked(tmp_path / "snapshots", Example("dog.png", ("A dog.",), "train"))
    assert [image.path for image in report.images] == [str(tmp_path / "snapshots/dog.png")]


def test_the_split_is_the_same_for_the_same_seed_whatever_the_order_of_the_rows(tmp_path):
    rows = many(tmp_path, range(40))
    assert splits_of(checked(tmp_path, *rows, seed=3)) == splits_of(checked(tmp_path, *reversed(rows), seed=3))


def test_another_seed_gives_another_split(tmp_path):
    rows = many(tmp_path, range(40))
    assert splits_of(checked(tmp_path, *rows, seed=3)) != splits_of(checked(tmp_path, *rows, seed=4))


def test_adding_images_moves_few_of_the_others(tmp_path):
    rows = many(tmp_path, range(330))
    before = splits_of(checked(tmp_path, *rows[:300], is_known=lambda image_hash: True))
    after = splits_of(checked(tmp_path, *rows, is_known=lambda image_hash: True))
    assert sum(before[name] != after[name] for name in before) <= 15


def test_no_image_is_in_two_splits(tmp_path):
    rows = many(tmp_path, range(40))
    for number in range(0, 40, 4):
        draw_image(tmp_path / f"copy-{number}.png", number)
    copies = [Example(f"copy-{number}.png", ("A dog.",), "test") for number in range(0, 40, 4)]
    hashes = [image.image_hash for image in checked(tmp_path, *rows, *copies).images]
    assert len(hashes) == len(set(hashes)) == 40


def test_an_image_that_is_known_is_not_decoded_again(tmp_path):
    (tmp_path / "1.png").write_bytes(b"not an image, but its features are cached")
    report = checked(tmp_path, Example("1.png", ("A dog.",), "train"), is_known=lambda image_hash: True)
    assert list(kept(report)) == ["1.png"]


def test_progress_counts_every_image_once(tmp_path):
    seen = []
    checked(tmp_path, *many(tmp_path, range(5)), on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize(
    "name",
    [
        "long" * 100,
        "a\0b.png",
        "",
        "images",
    ],
)
def test_a_name_that_no_file_can_have_is_a_missing_image(tmp_path, name):
    (tmp_path / "images").mkdir()
    assert problems_of(checked(tmp_path, Example(name, ("A dog.",), "train"))) == [("missing image", name)]


IMAGES = (
    PreparedImage("/photos/1.jpg", "a" * 64, "train", ("Ein Bär, »groß«.", "熊 🐻"), 2.5),
    PreparedImage("/photos/2.jpg", "b" * 64, "test", ("A cat.",)),
)


def dataset(name="photos", images=IMAGES):
    return PreparedDataset(name, images, "efficientnet-lite0", "", ("plain", "flip"), ("/photos",))


def test_a_prepared_data_set_comes_back_as_it_was_saved(user_folders):
    dataset().save()
    assert prepared.load("photos") == dataset()


def test_prepared_data_sets_are_listed_by_name(user_folders):
    assert prepared.names() == []
    dataset("b").save()
    dataset("a").save()
    assert prepared.names() == ["a", "b"]


def test_an_unknown_data_set_offers_the_nearest_name(user_folders):
    dataset("flickr8k").save()
    with pytest.raises(UnknownNameError, match="no prepared data set named 'flicker8k'; did you mean flickr8k") as caught:
        prepared.load("flicker8k")
    assert caught.value.nearest == ["flickr8k"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{}",
        "[]",
        '{"schema": 2, "images": [{}]}',
        "null",
    ],
)
def test_a_damaged_data_set_is_an_error_that_says_to_prepare_it_again(user_folders, text):
    dataset().save().write_text(text)
    with pytest.raises(DataError, match="damaged; run capgen prepare again"):
        prepared.load("photos")


def test_a_data_set_of_an_earlier_version_is_read_with_its_own_names(user_folders):
    first = {"path": "/photos/1.jpg", "image_hash": "a" * 64, "split": "train", "captions": ["A dog."], "weight": 2.5}
    values = {
        "schema": 1,
        "name": "old",
        "pictures": [first | {"style": "web"}],
        "encoder": "efficientnet-lite0",
        "encoder_weights": "",
        "views": ["plain", "flip"],
        "sources": ["/photos"],
    }
    prepared.dataset_file("old").parent.mkdir(parents=True)
    prepared.dataset_file("old").write_text(json.dumps(values))
    image = PreparedImage("/photos/1.jpg", "a" * 64, "train", ("A dog.",), 2.5, domain="web")
    assert prepared.load("old") == PreparedDataset(
        "old", (image,), "efficientnet-lite0", "", ("plain", "flip"), ("/photos",)
    )


def test_a_data_set_of_another_version_is_an_error_that_says_so(user_folders):
    path = dataset().save()
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"schema": 0}))
    with pytest.raises(DataError, match="another version of capgen"):
        prepared.load("photos")


def test_a_caption_that_no_file_can_hold_is_no_traceback(user_folders, tmp_path):
    draw_image(tmp_path / "1.png", 1)
    report = checked(tmp_path, Example("1.png", ("A dog \ud83d", "A pet."), "train"))
    dataset(images=tuple(report.images)).save()


def test_a_split_gives_its_images():
    assert dataset().split("test") == [IMAGES[1]]


def test_an_empty_split_is_an_error_that_names_it():
    with pytest.raises(DataError, match="no images in its dev split"):
        dataset().split("dev")


def test_an_unknown_split_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean train"):
        dataset().split("trian")


def test_the_fingerprint_is_that_of_the_content_not_of_order_or_folder():
    moved = tuple(PreparedImage(f"/new{p.path}", p.image_hash, p.split, p.captions, p.weight) for p in IMAGES)
    assert dataset(images=moved[::-1]).fingerprint == dataset().fingerprint
    assert dataset(images=IMAGES[:1]).fingerprint != dataset().fingerprint


def test_a_source_that_only_trains_gives_its_train_split_or_all_of_it(tmp_path):
    rows = many(tmp_path, range(6))
    splits = ("train", "dev", "test", "unused")
    official = [Example(row.image, row.captions, split) for row, split in zip(rows, splits, strict=False)]
    for only, found in (
        (official, {"0.png": "train"}),
        (rows, dict.fromkeys((row.image for row in rows), "train")),
        ([*official, *rows[4:]], dict.fromkeys(("0.png", "4.png", "5.png"), "train")),
    ):
        report = validate([LoadedSource(LoadedDataset(only, [tmp_path]), train_only=True)])
        assert splits_of(report) == found
        assert report.problems == []
        assert report.random_splits == ()


def test_what_only_trains_takes_no_part_in_the_random_split(tmp_path):
    own, others = many(tmp_path / "own", range(20)), many(tmp_path / "others", range(100, 140))
    alone = splits_of(checked(tmp_path / "own", *own, seed=3))
    sources = [
        LoadedSource(LoadedDataset(own, [tmp_path / "own"])),
        LoadedSource(LoadedDataset(others, [tmp_path / "others"]), train_only=True),
    ]
    together = splits_of(validate(sources, seed=3))
    assert {name: together[name] for name in alone} == alone
    assert set(alone.values()) == {"train", "dev", "test"}
    assert {split for name, split in together.items() if name not in alone} == {"train"}


def test_a_image_held_out_in_one_source_is_not_trained_on_through_another(tmp_path):
    draw_image(tmp_path / "own/1.png", 1)
    draw_image(tmp_path / "others/copy.png", 1)
    sources = [
        LoadedSource(LoadedDataset([Example("copy.png", ("Nice!",))], [tmp_path / "others"]), domain="web", train_only=True),
        LoadedSource(LoadedDataset([Example("1.png", ("A dog.",), "test")], [tmp_path / "own"])),
    ]
    for order in (sources, sources[::-1]):
        (only,) = validate(order).images
        assert (only.split, only.domain, only.captions) == ("test", "", ("A dog.",))


def test_each_image_has_the_domain_and_weight_of_its_source(tmp_path):
    sources = [
        LoadedSource(LoadedDataset(many(tmp_path / "a", [1]), [tmp_path / "a"]), weight=2.0, train_only=True),
        LoadedSource(LoadedDataset(many(tmp_path / "b", [2]), [tmp_path / "b"]), domain="room", train_only=True),
    ]
    found = {name: (image.domain, image.weight) for name, image in kept(validate(sources)).items()}
    assert found == {"1.png": ("", 2.0), "2.png": ("room", 1.0)}


def test_images_left_out_by_name_are_in_no_source(tmp_path):
    rows = [*many(tmp_path / "x", range(3)), *many(tmp_path, [5])]
    rows = [Example(f"x/{row.image}" if index < 3 else row.image, row.captions, "train") for index, row in enumerate(rows)]
    report = validate([LoadedSource(LoadedDataset(rows, [tmp_path]))], excluded=["1.png", "5.png", "never.png"])
    assert set(kept(report)) == {"0.png", "2.png"}
    assert [(problem.kind, problem.where) for problem in report.problems] == [
        ("left out as asked", "x/1.png"),
        ("left out as asked", "5.png"),
        ("name to leave out that no image has", "never.png"),
    ]


@pytest.mark.parametrize("name", ["a/1.png", "/elsewhere/a/1.png", "A\\1.PNG"])
def test_a_path_to_leave_out_leaves_the_image_of_another_folder(tmp_path, name):
    for folder in "ab":
        (tmp_path / folder).mkdir()
    rows = [
        Example(f"{folder}/{row.image}", row.captions, "train")
        for folder in "ab"
        for row in many(tmp_path / folder, range(2))
    ]
    report = validate([LoadedSource(LoadedDataset(rows, [tmp_path]))], excluded=[name])
    assert {problem.where for problem in report.problems if problem.kind == "left out as asked"} == {"a/1.png"}


def test_the_domain_of_a_image_survives_saving_and_changes_the_fingerprint(user_folders):
    def dataset(domain):
        shown = PreparedImage("1.png", "hash", "train", ("a dog",), domain=domain)
        return PreparedDataset("styled", (shown,), "efficientnet-lite0", "", ("plain",), ())

    dataset("room").save()
    assert prepared.load("styled") == dataset("room")
    assert dataset("room").fingerprint != dataset("").fingerprint
