"""``capgen prepare``, as a command, on real files."""

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.commands import invoked
from support.drawing import draw, draw_dataset
from support.studio import SETTINGS
from support.tools import require_tool


def test_it_says_which_layout_it_recognised_and_what_it_found(studio):
    done = studio.run("prepare", studio.source, "--encoder", "efficientnet-lite0", "--augment", "flip")
    assert done.returncode == 0
    assert done.stdout == ""
    assert "jsonl layout (captions.jsonl has the keys image and captions)" in done.stderr
    for split, images in (("train", "36"), ("dev", "12"), ("test", "12")):
        assert any(split in line and images in line for line in done.stderr.splitlines())


def shards(studio):
    return {path: path.stat().st_mtime_ns for path in (studio.folder / "cache/features").rglob("*") if path.is_file()}


def test_a_second_run_computes_nothing(studio):
    before = shards(studio)
    assert studio.run("prepare", studio.source, "--encoder", "efficientnet-lite0", "--augment", "flip").returncode == 0
    assert shards(studio) == before


def test_a_moved_and_touched_copy_of_the_images_computes_nothing(studio, tmp_path):
    moved = draw_dataset(tmp_path / "elsewhere", 60)
    before = shards(studio)
    assert (
        studio.run("prepare", moved, "--encoder", "efficientnet-lite0", "--augment", "flip", "--name", "moved").returncode
        == 0
    )
    assert shards(studio) == before


def test_ten_more_images_compute_ten(studio, tmp_path):
    more = draw_dataset(draw_dataset(tmp_path / "more", 60), 10, first_seed=60)
    before = shards(studio)
    assert studio.run("prepare", more, "--encoder", "efficientnet-lite0", "--name", "more").returncode == 0
    listings = [path for path in shards(studio).keys() - before.keys() if path.suffix == ".json"]
    assert [len(json.loads(path.read_text())) for path in listings] == [10]


def test_bad_rows_are_reported_and_left_out(studio, tmp_path):
    source = draw_dataset(tmp_path / "flawed", 10)
    (source / "images/000.png").write_bytes(b"not an image")
    with (source / "captions.jsonl").open("a") as file:
        file.write('{"image": "images/gone.png", "caption": "gone", "split": "train"}\nno json\n')
    done = studio.run("prepare", source, "--encoder", "efficientnet-lite0", "--name", "flawed")
    assert done.returncode == 0
    for kind in ("unreadable image", "missing image", "malformed row"):
        assert kind in done.stderr
    listed = (studio.folder / "user/datasets/flawed.problems.jsonl").read_text().splitlines()
    assert len(listed) == 3
    assert all(json.loads(line)["where"] for line in listed)


def test_all_that_was_left_out_is_reported_row_by_row_also_if_it_is_an_error(studio, tmp_path):
    source = draw_dataset(tmp_path / "reported", 5, first_seed=540)
    with (source / "captions.jsonl").open("a") as file:
        file.write(
            '\nno json\n{"image": "images/gone.png", "captions": ["gone"]}\n{"image": "images/540.png", "caption": "."}\n'
        )
    problems = [
        ("malformed row", "captions.jsonl:7"),
        ("missing image", "captions.jsonl:8"),
        ("empty caption", "captions.jsonl:9"),
    ]
    for code, more in ((0, ()), (1, ("--strict",))):
        report = tmp_path / f"report-{code}.jsonl"
        done = studio.run("prepare", source, "--encoder", "efficientnet-lite0", "--report", report, *more)
        assert done.returncode == code, done.stderr
        rows = [json.loads(line) for line in report.read_text().splitlines()]
        assert [(row["kind"], row["where"]) for row in rows] == problems
        assert all(kind in done.stderr and where in done.stderr for kind, where in problems)


def test_names_that_look_like_markup_are_shown_as_they_are(studio, tmp_path):
    source = draw_dataset(tmp_path / "markup", 5, first_seed=550)
    with (source / "captions.jsonl").open("a") as file:
        file.write('{"image": "[/red].png", "caption": "gone"}\n')
    done = studio.run("prepare", source, "--encoder", "efficientnet-lite0")
    assert done.returncode == 0, done.stderr
    assert "[/red].png" in done.stderr


def test_a_source_is_looked_at_before_an_encoder_is_converted(studio, tmp_path):
    (tmp_path / "blank").mkdir()
    for index in range(3):
        (tmp_path / f"blank/{index}.png").write_bytes(b"not an image")
        (tmp_path / f"blank/{index}.txt").write_text("a dog\n")
    done = studio.run("prepare", tmp_path / "blank", "--format", "folder", "--encoder", "efficientnet-lite2")
    assert done.returncode == 1
    assert "nothing in" in done.stderr
    assert "making" not in done.stderr
    assert not list((studio.folder / "cache/encoders").glob("efficientnet-lite2*"))


def test_of_a_source_of_which_nothing_can_be_used_the_commonest_problem_is_said(studio, tmp_path):
    (tmp_path / "t.csv").write_text("image,caption\n1.jpg\n2.jpg,a dog\n3.jpg,a cat\n")
    done = studio.run("prepare", tmp_path / "t.csv", "--encoder", "efficientnet-lite0", "--name", "gone", "--quiet")
    assert done.returncode == 1
    assert "missing image, 2 times, first t.csv:3 (2.jpg: not in" in done.stderr
    assert not (studio.folder / "user/datasets/gone.problems.jsonl").exists()


def test_columns_are_named_once_or_once_a_source(studio, tmp_path):
    for name, first in (("first", 560), ("second", 570)):
        source = draw_dataset(tmp_path / name, 3, first_seed=first)
        (source / "captions.csv").write_text(f"pic,{name}\nimages/{first}.png,a dog\nimages/{first + 1}.png,a cat\n")
        (source / "captions.jsonl").unlink()
    columns = ("--image-column", "pic", "--caption-column", "first", "--caption-column", "second")
    both = (tmp_path / "first", tmp_path / "second", "--name", "columns", "--encoder", "efficientnet-lite0")
    done = studio.run("prepare", *both, *columns)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(saved(studio, "columns"))["images"]) == 4
    done = studio.run("prepare", *both)
    assert done.returncode == 1
    assert "captions.csv has the columns pic, first" in done.stderr
    assert "--image-column" in done.stderr


def test_what_capgen_has_written_is_a_source(studio, fake, tmp_path, monkeypatch):
    source = draw_dataset(tmp_path / "own", 5, first_seed=580)
    (source / "captions.jsonl").unlink()
    monkeypatch.chdir(source)
    for name in ("said.jsonl", "said.csv"):
        assert invoked("caption", "images", "--recursive", "--model", "fake", "--output", name).exit_code == 0
        done = studio.run("prepare", name, "--encoder", "efficientnet-lite0", "--name", "own", "--overwrite")
        assert done.returncode == 0, done.stderr
        assert len(json.loads(saved(studio, "own"))["images"]) == 5


def test_a_report_never_replaces_what_is_read(tmp_path):
    source = draw_dataset(tmp_path / "source", 3)
    before = (source / "captions.jsonl").read_text()
    (tmp_path / "names.txt").write_text("000.png\n")
    for report, more, words in (
        (source / "captions.jsonl", (), "is in the source"),
        (source / "report.jsonl", (), "name a file elsewhere"),
        (tmp_path / "names.txt", ("--leave-out", tmp_path / "names.txt"), "it would replace the list of --leave-out"),
    ):
        done = invoked("prepare", str(source), "--report", str(report), *map(str, more))
        assert done.exit_code == 2
        assert words in " ".join(done.stderr.split())
    assert (source / "captions.jsonl").read_text() == before
    assert (tmp_path / "names.txt").read_text() == "000.png\n"


def test_what_a_failed_run_left_out_is_not_said_of_the_data_set_of_that_name(studio, tmp_path):
    good, bad = draw_dataset(tmp_path / "good", 5, first_seed=560), tmp_path / "bad.csv"
    bad.write_text("image,caption\nnone.png,nothing\n")
    assert studio.run("prepare", good, "--encoder", "efficientnet-lite0", "--name", "kept").returncode == 0
    failed = studio.run("prepare", bad, "--name", "kept", "--overwrite")
    assert failed.returncode == 1
    assert "missing image, once bad.csv:2" in failed.stderr
    assert "--report FILE.jsonl lists all" in failed.stderr
    assert "none.png" not in studio.run("data", "show", "kept").stdout


def test_strict_makes_them_an_error_and_prepares_nothing(studio, tmp_path):
    source = draw_dataset(tmp_path / "strict", 10)
    (source / "images/000.png").unlink()
    done = studio.run("prepare", source, "--encoder", "efficientnet-lite0", "--strict")
    assert done.returncode == 1
    assert "missing image" in done.stderr
    assert not (studio.folder / "user/datasets/strict.json").exists()


def test_a_source_without_splits_gets_a_seeded_one_and_it_says_so(studio, tmp_path):
    folder = tmp_path / "sidecars"
    folder.mkdir()
    for index in range(10):
        draw(folder / f"{index}.png", "red", "circle", index)
        (folder / f"{index}.txt").write_text("a red circle\n")
    done = studio.run("prepare", folder, "--encoder", "efficientnet-lite0")
    assert "split at random, with seed 0" in done.stderr
    images = json.loads((studio.folder / "user/datasets/sidecars.json").read_text())["images"]
    assert sorted(image["split"] for image in images) == ["dev", "test", *["train"] * 8]


def table(folder, *splits):
    """Write a table of drawn images with these splits; return its folder."""
    folder.mkdir()
    for index in range(len(splits)):
        draw(folder / f"{index}.png", "red", "circle", index)
    rows = (f"{index}.png,a red circle,{split}\n" for index, split in enumerate(splits))
    (folder / "captions.csv").write_text("image,caption,split\n" + "".join(rows))
    return folder


def test_where_there_is_no_dev_split_one_is_chosen_from_train_at_random_and_it_says_so(studio, tmp_path):
    source = table(tmp_path / "no_dev", *["train"] * 8, "test", "test")
    done = studio.run("prepare", source, "--encoder", "efficientnet-lite0")
    assert "there is no dev split: 1 of the train images was chosen for it at random, with seed 0" in done.stderr
    assert "capgen train no_dev" in done.stderr
    images = json.loads((studio.folder / "user/datasets/no_dev.json").read_text())["images"]
    assert sorted(image["split"] for image in images) == ["dev", "test", "test", *["train"] * 7]


def test_it_does_not_say_to_train_where_there_is_nothing_to_train_on(studio, tmp_path):
    done = studio.run("prepare", table(tmp_path / "tests_alone", "test", "test"), "--encoder", "efficientnet-lite0")
    assert "no train split" in done.stderr
    assert "capgen train" not in done.stderr
    assert "--data tests_alone --split test" in done.stderr


def test_several_sources_make_one_data_set_each_with_its_weight(studio, tmp_path):
    other = draw_dataset(tmp_path / "other", 5, first_seed=100)
    done = studio.run(
        "prepare",
        studio.source,
        other,
        "--weight",
        "1",
        "--weight",
        "2.5",
        "--name",
        "both",
        "--encoder",
        "efficientnet-lite0",
    )
    assert done.returncode == 0
    images = json.loads((studio.folder / "user/datasets/both.json").read_text())["images"]
    assert sorted({(image["weight"], len(images)) for image in images}) == [(1.0, 65), (2.5, 65)]


def test_a_source_may_only_train_in_a_domain_of_its_own_and_images_may_be_left_out(studio, tmp_path):
    own, other = draw_dataset(tmp_path / "own", 10, first_seed=400), draw_dataset(tmp_path / "other", 5, first_seed=420)
    listing = tmp_path / "out.txt"
    listing.write_text("images/402.png\n\n/elsewhere/423.png  \nnone.png\n")
    done = studio.run(
        "prepare", own, other, "--use", "all", "--use", "train", "--domain", "", "--domain", "room", "--leave-out", listing,
        "--name", "domains", "--encoder", "efficientnet-lite0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    images = json.loads((studio.folder / "user/datasets/domains.json").read_text())["images"]
    found = {Path(image["path"]).name: (image["split"], image["domain"]) for image in images}
    splits = ("dev", "test", "train", "train", "train")
    expected = {f"{number}.png": (splits[number % 5], "") for number in range(400, 410)}
    expected |= {f"{number}.png": ("train", "room") for number in (422, 424)}
    del expected["402.png"]
    assert found == expected
    assert "left out as asked" in done.stderr
    assert "none.png" in done.stderr


def test_what_is_said_once_of_several_sources_is_true_of_each(studio, tmp_path):
    first, second = draw_dataset(tmp_path / "first", 5, first_seed=440), draw_dataset(tmp_path / "second", 5, first_seed=450)
    chosen = ("--use", "train", "--domain", "web", "--name", "once", "--encoder", "efficientnet-lite0")
    assert studio.run("prepare", first, second, *chosen).returncode == 0
    images = json.loads((studio.folder / "user/datasets/once.json").read_text())["images"]
    assert [(image["split"], image["domain"]) for image in images] == [("train", "web")] * 6
    done = studio.run("prepare", first, second, *chosen, "--use", "all", "--use", "all")
    assert done.returncode == 2
    assert "--use: give it once, or once for each of the 2 sources" in done.stderr


def saved(studio, name):
    return (studio.folder / f"user/datasets/{name}.json").read_bytes()


def test_the_name_of_another_data_set_is_refused_before_any_work(studio, tmp_path):
    small = ("--encoder", "efficientnet-lite0", "--name", "taken")
    first, second = draw_dataset(tmp_path / "first", 5, first_seed=460), draw_dataset(tmp_path / "second", 5, first_seed=470)
    assert studio.run("prepare", first, *small).returncode == 0
    before, features = saved(studio, "taken"), shards(studio)
    for sources in ([second], [first, second]):
        done = studio.run("prepare", *sources, *small)
        assert done.returncode == 2
        assert f"already a data set 'taken', of 5 images from {first}" in done.stderr
        assert "--name" in done.stderr
        assert "--overwrite" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert saved(studio, "taken") == before
        assert shards(studio) == features


def test_with_overwrite_another_data_set_is_replaced(studio, tmp_path):
    small = ("--encoder", "efficientnet-lite0", "--name", "replaced")
    first, second = draw_dataset(tmp_path / "first", 5, first_seed=480), draw_dataset(tmp_path / "second", 3, first_seed=490)
    assert studio.run("prepare", first, *small).returncode == 0
    assert studio.run("prepare", second, *small, "--overwrite").returncode == 0
    values = json.loads(saved(studio, "replaced"))
    assert values["sources"] == [str(second)]
    assert len(values["images"]) == 3


def test_the_same_sources_are_prepared_again_under_their_name_however_they_are_written(studio, tmp_path, monkeypatch):
    small = ("--encoder", "efficientnet-lite0", "--name", "again")
    first, second = draw_dataset(tmp_path / "first", 5, first_seed=500), draw_dataset(tmp_path / "second", 5, first_seed=510)
    (tmp_path / "link").symlink_to(first)
    assert studio.run("prepare", first, second, *small).returncode == 0
    monkeypatch.chdir(tmp_path)
    for sources in (["second", "first"], [second / "../link", second], [first, second, "--augment", "flip"]):
        done = studio.run("prepare", *sources, *small)
        assert done.returncode == 0, done.stderr
    assert json.loads(saved(studio, "again"))["augmentations"] == ["plain", "flip"]


def test_a_damaged_data_set_can_be_prepared_again_from_anything(studio, tmp_path):
    small = ("--encoder", "efficientnet-lite0", "--name", "damaged")
    source = draw_dataset(tmp_path / "source", 5, first_seed=520)
    (studio.folder / "user/datasets/damaged.json").write_text("{")
    assert studio.run("prepare", source, *small).returncode == 0


def test_bad_requests_are_one_line_each_and_say_what_to_do(studio, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for arguments, words in (
        ([tmp_path / "none"], "no data set"),
        ([tmp_path / "empty"], "not in a known layout"),
        ([studio.source, "--images", tmp_path / "file"], "is a file, not a folder"),
        ([studio.source, "--encoder", "efficientnet-light0"], "is not one of 'efficientnet-lite0', "),
        ([studio.source, "--format", "cocoa"], "'cocoa' is not one of 'auto', "),
        ([studio.source, "--augment", "flop"], "'flop' is not one of 'flip'"),
        ([studio.source, "--name", "../up"], "--name"),
        ([studio.source, "--weight", "0"], "a weight of 0"),
        ([studio.source, "--use", "trian"], "'trian' is not one of 'all', 'train'"),
        ([studio.source, "--language", "german"], "is not the tag of a language"),
        ([studio.source, "--domain", "Room 1"], "letters, digits and '-'"),
        ([studio.source, "--leave-out", tmp_path / "none.txt"], "cannot be read"),
        ([studio.source, "--encoder", "resnet50", "--encoder-weights", tmp_path / "none.h5"], "no encoder weights"),
    ):
        done = studio.run("prepare", *arguments, "--quiet")
        assert done.returncode in {1, 2}, arguments
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "Traceback" not in done.stderr


def test_a_cache_that_cannot_be_written_is_one_line(studio, tmp_path):
    (tmp_path / "file").write_text("")
    done = studio.run(
        "prepare", studio.source, "--encoder", "efficientnet-lite0", "--quiet", CAPGEN_CACHE_DIR=str(tmp_path / "file/cache")
    )
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_prepare_killed_in_the_middle_goes_on(studio, tmp_path):
    source = draw_dataset(tmp_path / "many", 300, first_seed=5000)
    arguments = ["prepare", source, "--encoder", "efficientnet-lite0"]
    process = subprocess.Popen(
        [Path(sys.executable).with_name("capgen"), *arguments], env={**os.environ, **studio.env}, stderr=subprocess.DEVNULL
    )
    store = studio.folder / "cache/features"
    before = set(store.rglob("*.json"))
    while not (set(store.rglob("*.json")) - before) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    first = {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.suffix in {".json", ".npy"}}
    done = studio.run(*arguments)
    assert done.returncode == 0, done.stderr
    assert all(path.stat().st_mtime_ns == then for path, then in first.items())
    rows = [len(json.loads(path.read_text())) for path in set(store.rglob("*.json")) - before]
    assert sorted(rows) == [44, 256]


@pytest.mark.slow
def test_a_second_run_loads_no_tensorflow(studio):
    program = (
        "import sys; sys.argv = ['capgen', 'prepare', '--encoder', 'efficientnet-lite0', '-q', sys.argv[1]]\n"
        "import atexit; atexit.register(lambda: print(sorted({'tensorflow', 'keras'} & set(sys.modules))))\n"
        "from capgen.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, studio.source],
        env={**os.environ, **studio.env}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_an_encoder_of_keras_prepares_and_trains_offline_from_a_file_of_weights(studio, tmp_path):
    import keras

    network = keras.applications.MobileNetV3Large(include_top=False, weights=None, input_shape=(224, 224, 3))
    network.save_weights(tmp_path / "mobilenet.weights.h5")
    chosen = ["--encoder", "mobilenetv3", "--encoder-weights", tmp_path / "mobilenet.weights.h5", "--name", "mobile"]
    done = studio.run("prepare", studio.source, *chosen)
    assert done.returncode == 0, done.stderr
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    done = studio.run("train", "mobile", "--decoder", "merge", "--epochs", "1", *settings)
    assert done.returncode == 0, done.stderr
    assert studio.run("caption", "-m", "mobile", studio.source / "images/000.png").stdout.strip()


@pytest.mark.slow
def test_on_a_terminal_the_tables_are_not_written_over_by_a_bar(studio):
    command = shlex.join(["capgen", "prepare", str(studio.source), "--encoder", "efficientnet-lite0"])
    done = subprocess.run(
        [require_tool("script"), "-qec", command, "/dev/null"],
        env={**os.environ, **studio.env, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "120"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Checking images" in done.stdout
    shown = done.stdout[done.stdout.rindex("Checking images") :]
    assert "Found" in shown
    assert "prepared 'shapes'" in shown.splitlines()[-1]
