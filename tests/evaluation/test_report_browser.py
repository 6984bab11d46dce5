"""Reports in a real browser, Chromium without a window: what a person sees, clicks and types."""

import time
from contextlib import contextmanager
from importlib import resources

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from support.drawing import COLOURS, SHAPES, draw
from support.tools import require_tool

from capgen.captioner.results import Attention
from capgen.evaluation import report
from capgen.evaluation.evaluate import evaluate
from capgen.evaluation.predictions import Predictions
from capgen.evaluation.references import Reference, Split
from capgen.evaluation.report import evaluation_page

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>"
PAGES = ("report.html", "absent.html", "run.html")
COUNT = 64  # more than the page puts up at first

RUN = {
    "title": HOSTILE,
    "subtitle": "run",
    "curves": [
        {
            "title": "The loss falls.",
            "axis": "epoch",
            "unit": "nats a word",
            "series": [{"name": "dev", "points": [[1, 3.0], [2, None], [3, 2.5]]}],
            "marks": [[2.5, "self-critical"], [3, "best"]],
        },
        {
            "title": "There is one epoch.",
            "axis": "epoch",
            "unit": "nats",
            "series": [{"name": "dev", "points": [[1, 3.0]]}],
            "marks": [],
        },
        {
            "title": "Its labels are long.",
            "axis": "epoch",
            "unit": "images of the whole data set that are captioned as people do",
            "series": [{"name": "dev", "points": [[100, 1_000_000], [1000, 1_000_007]]}],
            "marks": [],
        },
        {"title": "Nothing", "axis": "epoch", "unit": "", "series": [{"name": "dev", "points": [[1, None]]}], "marks": []},
    ],
    "samples": [
        {
            "name": "dog.jpg",
            "caption": "a dog",
            "references": ["a brown dog"],
            "captions": [[1, HOSTILE], [2, "a dog"], [3, "a dog"]],
        }
    ],
    "tables": [
        {"title": "Data", "head": ["a", "b"], "rows": [["x", HOSTILE]], "open": True},
        {"title": "Settings", "head": [], "rows": [["seed", "word " * 60]], "open": False},
    ],
}
"""The page of a run, with something of everything that it can have."""

PATIENCE = 600
"""Seconds after which a test stops waiting for the page; far more than it takes on a busy machine."""


@pytest.fixture(scope="module")
def browser():
    program, driver = require_tool("chromium"), require_tool("chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    # containers have a small /dev/shm, and Chromium's sandbox does not run as root
    for argument in ("--headless=new", "--disable-dev-shm-usage", "--window-size=1200,900", "--no-sandbox"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()


def errors(browser):
    """What has been complained about since this was last asked."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def blob(cell):
    """A map that is hot in one cell."""
    grid = np.full(49, 0.01, np.float32)
    grid[cell % 49] = 0.52
    return grid.reshape(7, 7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A page of drawn images with attention, one of them captioned by an enemy, and one of captions without images."""
    folder = tmp_path_factory.mktemp("pages")
    references, captions, attention = [], {}, {}
    for index in range(COUNT):
        colour, shape = list(COLOURS)[index % 4], SHAPES[index % 3]
        name = f"{index:03}.png"
        draw(folder / name, colour, shape, index)
        references.append(Reference(name, folder / name, (f"A {colour} {shape} on a pale ground.", HOSTILE)))
        captions[name] = f"a {colour} {shape}" if index % 5 else f"some {shape}s of colours like {colour}"
        words = captions[name].split()
        attention[name] = Attention(tuple(words), np.stack([blob(index + 9 * position) for position in range(len(words))]))
    captions["063.png"] = HOSTILE
    attention["063.png"] = None
    absent = [Reference(reference.id, None, reference.captions) for reference in references[:5]]
    write(folder / "report.html", references, captions, attention)
    write(folder / "absent.html", absent, {name: captions[name] for name in list(captions)[:5]}, {})
    report.write(folder / "run.html", RUN)
    return folder


def write(path, references, captions, attention):
    system = Predictions("drawn", captions, attention=attention)
    (evaluated,) = evaluate([system], Split("test", references, []))
    report.write(
        path, evaluation_page.describe("for a test", evaluated, evaluation_page.cards(system, references, evaluated))
    )


@pytest.fixture
def page(browser, folder):
    """The page, just opened; at the end nothing has been complained about."""
    yield Page(browser, folder / "report.html")
    assert errors(browser) == []


class Page:
    def __init__(self, browser, file):
        self.browser = browser
        browser.get(file.as_uri())
        self.wait(lambda: self.script("return document.documentElement.dataset.ready") == "yes")

    def script(self, text, *arguments):
        return self.browser.execute_script(text, *arguments)

    def wait(self, true):
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, "it does not come to pass"
            time.sleep(0.02)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        return self.script("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector)

    def choose(self, selector, label):
        self.one(f"{selector} option[value={label}]").click()

    def type(self, text):
        self.one("#filter").send_keys(Keys.CONTROL + "a" + Keys.NULL + Keys.BACKSPACE + text)

    def press(self, *keys):
        for key in keys:
            self.browser.switch_to.active_element.send_keys(key)

    @property
    def captions(self):
        return self.texts("#cards button")

    @property
    def scores(self):
        return [float(text.split()[1]) for text in self.texts("#cards .foot b")]

    @property
    def focused(self):
        return self.script("return document.activeElement.textContent")

    @property
    def word(self):
        return self.texts("#words [aria-current]")

    @property
    def heat(self):
        return self.script("const c = document.querySelector('#heat'); return c.hidden ? null : c.toDataURL()")


def test_it_opens_with_scores_charts_and_the_worst_image_first(page):
    assert page.one("h1").text == "Captions of drawn, compared with people's"
    scores = " ".join(page.texts("#scores li"))
    assert all(name in scores for name in ("BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr-D"))
    assert len(page.all("#histograms svg")) == 2
    assert page.one("#count").text == f"{COUNT} of {COUNT} images"
    assert page.scores == sorted(page.scores)
    assert (
        page.script("return performance.getEntriesByType('resource').filter((r) => !r.name.startsWith('data:')).length") == 0
    )


def test_it_is_sorted(page):
    page.choose("#order", "best")
    assert page.scores == sorted(page.scores, reverse=True)
    assert page.scores[0] > page.scores[-1]
    page.choose("#order", "name")
    assert page.texts("#cards .foot span")[:3] == ["000.png", "001.png", "002.png"]


def test_it_is_filtered_by_words_and_the_last_one_may_be_a_beginning(page):
    page.type("re")
    assert {"red" in caption for caption in page.captions} == {True}
    page.type("circle red")
    assert set(page.captions) == {"a red circle"}
    page.type("circle ")
    assert "circles" not in " ".join(page.captions)
    page.choose("#where", "missed")
    assert all("circles" in caption or caption == HOSTILE for caption in page.captions)
    assert page.one("#count").text == f"{len(page.captions)} of {COUNT} images"
    page.type("zebra")
    assert page.captions == []
    page.choose("#where", "caption")
    page.type("")
    assert page.one("#count").text == f"{COUNT} of {COUNT} images"


def test_more_cards_come_when_they_are_asked_for_or_scrolled_to(page):
    assert len(page.captions) == 60
    page.script("document.querySelector('#more').scrollIntoView()")
    page.wait(lambda: len(page.captions) == COUNT)
    assert not page.one("#more").is_displayed()


def test_what_an_enemy_wrote_is_shown_as_text(page):
    page.type("onerror")
    assert page.captions == [HOSTILE]
    page.one("#cards button").click()
    assert page.texts("#words span") == [HOSTILE]
    assert HOSTILE in page.texts("#references li")
    assert page.all('img[src="x"]') == []
    assert all(image.get_attribute("src").startswith("data:image/jpeg") for image in page.all("img"))


def test_every_image_has_words_for_those_who_do_not_see_it(page):
    page.one("#cards button").click()
    alternatives = page.script("return [...document.images].map((image) => image.alt)")
    assert len(alternatives) == 61
    assert all("on a pale ground" in text for text in alternatives)


def test_a_click_opens_an_image_and_pointing_at_a_word_shows_its_attention(page):
    from selenium.webdriver import ActionChains

    page.choose("#order", "name")
    page.all("#cards button")[1].click()
    assert page.one("#view").is_displayed()
    assert page.texts("#words button") == ["a", "green", "square"]
    before = page.heat
    ActionChains(page.browser).move_to_element(page.all("#words button")[2]).perform()
    assert page.word == ["square"]
    assert page.heat not in {None, before}
    assert "square" in page.one("#heat").get_attribute("aria-label")
    red = """
        const canvas = document.querySelector("#heat"), side = canvas.width / 7, high = canvas.height / 7;
        const [row, column] = arguments;
        return canvas.getContext("2d").getImageData((column + 0.5) * side, (row + 0.5) * high, 1, 1).data[0];
    """
    assert page.script(red, 2, 5) > 200  # cell 1 + 9 * 2
    assert page.script(red, 5, 2) < 60
    page.one("#next").click()
    assert page.one("#position").text == f"3 of {COUNT}"
    page.one("#close").click()
    assert not page.one("#view").is_displayed()


def test_the_keyboard_does_it_all(page):
    page.choose("#order", "name")
    page.script("document.querySelector('#where').focus()")
    page.press(Keys.TAB, Keys.TAB)
    assert page.focused == "a green square"
    outline = page.script("return getComputedStyle(document.activeElement.closest('li')).outlineStyle")
    assert outline == "solid"
    page.press(Keys.ENTER)
    assert page.one("#view").is_displayed()
    assert (page.focused, page.word) == ("a", ["a"])
    page.press(Keys.ARROW_RIGHT)
    assert (page.focused, page.word) == ("green", ["green"])
    first = page.heat
    page.press(Keys.END)
    assert (page.focused, page.word) == ("square", ["square"])
    assert page.heat != first
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert page.word == ["green"]
    page.press(Keys.PAGE_DOWN)
    assert page.texts("#words button") == ["a", "blue", "triangle"]
    assert page.word == ["a"]
    page.press(Keys.PAGE_UP, Keys.PAGE_UP, Keys.PAGE_UP)
    assert page.one("#position").text == f"1 of {COUNT}"
    page.press(Keys.ESCAPE)
    assert not page.one("#view").is_displayed()
    assert page.focused == "some circles of colours like red"
    page.script("document.querySelector('#theme').focus()")
    page.press(Keys.SPACE)
    page.script("localStorage.clear()")


def test_it_is_light_or_dark_as_the_system_is_and_the_button_changes_that_for_good(page):
    def ground():
        return page.script("return getComputedStyle(document.body).backgroundColor")

    def system(value):
        page.browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": value}]}
        )

    system("light")
    light = ground()
    system("dark")
    dark = ground()
    assert light != dark
    page.one("#theme").click()
    assert ground() == light
    page.browser.refresh()
    page.wait(lambda: page.script("return document.documentElement.dataset.ready") == "yes")
    assert ground() == light
    assert page.one("#theme").get_attribute("textContent").strip() == "Use dark colours"
    page.script("localStorage.clear()")
    system("")


def test_cards_without_images_open_too_and_the_arrows_go_through_them(browser, folder):
    page = Page(browser, folder / "absent.html")
    assert len(page.captions) == 5
    assert page.all(".card img") == []
    page.all("#cards button")[0].click()
    assert not page.one("#stage").is_displayed()
    assert page.all("#words button") == []
    page.press(Keys.ARROW_RIGHT)
    assert page.one("#position").text == "2 of 5"
    assert errors(browser) == []


def test_the_page_of_a_run_shows_curves_samples_and_tables(browser, folder):
    page = Page(browser, folder / "run.html")
    assert browser.title == page.one("h1").text == HOSTILE
    assert len(page.all("#curves svg")) == 3
    assert len(page.all("#curves circle")) == 5
    assert page.texts(".sample ol li") == [f"epoch 1{HOSTILE}", "epochs 2 to 3a dog"]
    assert page.texts("#tables td") == [HOSTILE, "word " * 60]
    assert not page.one("#gallery").is_displayed()
    assert errors(browser) == []


@pytest.mark.parametrize("width", [1280, 800, 390])
@pytest.mark.parametrize("name", PAGES)
def test_the_labels_of_charts_lie_inside_their_cards_and_the_page_is_not_scrolled_sideways(browser, folder, name, width):
    with viewport(browser, width, "light"):
        page = Page(browser, folder / name)
        outside = """
            return [...document.querySelectorAll(".chart text")].filter((label) => {
              const inner = label.getBoundingClientRect();
              const outer = label.closest("svg").getBoundingClientRect();
              const isWithin = inner.left >= outer.left - 1 && inner.right <= outer.right + 1;
              return !isWithin || inner.top < outer.top || inner.bottom > outer.bottom + 1;
            }).map((label) => label.textContent);
        """
        assert page.script(outside) == []
        assert len(page.all(".chart text")) > 10
        assert page.script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1280, 390])
def test_score_cards_fill_every_row(browser, folder, width):
    with viewport(browser, width, "light"):
        page = Page(browser, folder / "report.html")
        rights = page.script("""
            const rows = new Map();
            for (const card of document.querySelectorAll("#scores li")) {
              const { top, right } = card.getBoundingClientRect();
              rows.set(top, Math.max(right, rows.get(top) || 0));
            }
            return [...rows.values()];
        """)
        assert len(page.all("#scores li")) == 7
        assert len(rights) == {1280: 2, 390: 4}[width]
        assert max(rights) - min(rights) < 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(browser, folder, name, scheme):
    for width in (1280, 390):
        with viewport(browser, width, scheme):
            page = Page(browser, folder / name)
            assert violations(page) == []
            if page.one("#gallery").is_displayed():
                page.all("#cards button")[0].click()
                assert violations(page) == []
            for closed in page.all("details:not([open])"):
                closed.click()
                assert violations(page) == []


@contextmanager
def viewport(browser, width, scheme):
    """Give the browser a width in pixels, and a system that is light or dark."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    yield
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def violations(page):
    """Return the rules of axe-core that the page as it is now breaks, each with the first element."""
    axe = (resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
    page.browser.execute_cdp_cmd("Runtime.evaluate", {"expression": f"{axe}; 0"})  # which the page's policy does not stop
    found = page.browser.execute_async_script("axe.run(document).then(arguments[0])")
    assert found["passes"]
    return [(rule["id"], rule["nodes"][0]["target"], rule["help"]) for rule in found["violations"]]
