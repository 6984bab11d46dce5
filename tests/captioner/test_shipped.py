"""The captioner inside the package: whole, small enough, described, and as good as its card says."""

import json
import re

import pytest
from support.commands import capgen
from support.paths import ROOT

from capgen.captioner import bundle, catalogue
from capgen.captioner.bundle import Bundle

NOT_LOADED = (bundle.WEIGHTS, bundle.MODEL_CARD)


@pytest.fixture
def shipped(user_folders):
    return Bundle(catalogue.find(None))


def test_it_is_whole(shipped):
    shipped.verify()


def test_what_captioning_loads_is_at_most_40_mb(shipped):
    assert sum((shipped.path / name).stat().st_size for name in bundle.FILES if name not in NOT_LOADED) <= 40e6


def test_all_that_the_wheel_holds_is_at_most_95_mb(shipped):
    package = shipped.path.parents[1]
    assert sum(path.stat().st_size for path in package.rglob("*") if path.is_file()) <= 95e6


def test_its_card_shows_the_scores_that_it_carries(shipped):
    card = shipped.read(bundle.MODEL_CARD).decode()
    for split in ("dev", "Flickr8k dev", "Flickr8k test", "coco_photographs dev"):
        assert f"{shipped.description.scores[split]['CIDEr-D']:.4f}" in card
    assert "Flickr8k" in card
    assert "MS-COCO" in card


def test_its_card_says_its_language_and_where_to_read_about_others(shipped):
    card = shipped.read(bundle.MODEL_CARD).decode()
    assert "Its captions are in English" in card
    [page, title] = re.search(r'"([^"]+)" in `([^`]+)`', card).groups()[::-1]
    assert f"## {title}\n" in (ROOT / page).read_text()


def test_it_captions_a_real_photograph_offline(user_folders):
    done = capgen("caption", ROOT / "examples/cat.jpg")
    assert done.returncode == 0
    assert done.stderr == ""
    assert len(done.stdout.split()) >= 3


@pytest.mark.slow
@pytest.mark.shared
def test_it_scores_on_dev_what_its_card_says(shared, shipped, user_folders, tmp_path):
    scores = tmp_path / "scores.json"
    done = capgen("evaluate", "--references", shared / "flickr8k", "--split", "dev", "--json", scores)
    assert done.returncode == 0, done.stderr
    found, stated = json.loads(scores.read_text()), shipped.description.scores["Flickr8k dev"]
    assert found["images"] == stated["images"]
    for name in ("BLEU-4", "CIDEr-D"):
        assert found[name] == pytest.approx(stated[name], abs=0.003)  # other processors round otherwise


@pytest.mark.slow
@pytest.mark.shared
def test_it_captions_every_photograph_at_its_original_size(shared, user_folders):
    done = capgen("caption", "--recursive", shared / "flickr8k/originals")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 60
