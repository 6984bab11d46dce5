"""How long the report of 1,000 images takes to open in Chromium, and its size; the bar is 3 s.

python benchmarks/report.py FOLDER

The images are those of a data set in any layout that prepare reads, captioned by one of their references, with made-up
attention. It needs the ``test`` extra and Debian's ``chromium`` and ``chromium-driver``.
"""

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from capgen.captioner.results import Attention
from capgen.captioner.vocabulary import words
from capgen.evaluation import report
from capgen.evaluation.evaluate import evaluate
from capgen.evaluation.predictions import Predictions
from capgen.evaluation.references import Split, from_source
from capgen.evaluation.report import evaluation_page
from capgen.storage import files

COUNT, RUNS = 1000, 5


def write(source: Path, page: Path) -> int:
    """Write a page of up to ``COUNT`` images, and return how many."""
    references = from_source(source, "test").references[:COUNT]
    captions = {reference.id: " ".join(words(reference.captions[0])) for reference in references}
    random = np.random.default_rng(0)
    attention = {
        key: Attention(tuple(text.split()), random.random((len(text.split()), 7, 7), np.float32))
        for key, text in captions.items()
    }
    system = Predictions("1,000 images", captions, attention=attention)
    (evaluated,) = evaluate([system], Split("test", references, []))
    cards = evaluation_page.cards(system, references, evaluated)
    report.write(page, evaluation_page.describe(source.name, evaluated, cards))
    return len(cards)


def opened() -> webdriver.Chrome:
    """Start Chromium without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or sys.exit("it needs chromium and chromium-driver")
    for argument in ("--headless=new", "--disable-dev-shm-usage", "--no-sandbox", "--window-size=1400,1000"):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


def load(browser: webdriver.Chrome, page: Path) -> tuple[float, float]:
    """Return the seconds until the gallery can be used, and until all its cards have been scrolled into the page."""
    browser.get(page.as_uri())
    while not (ready := browser.execute_script("return performance.getEntriesByName('ready')[0]?.startTime")):
        time.sleep(0.01)
    started = time.perf_counter()
    browser.execute_script("while (!document.querySelector('#more').hidden) document.querySelector('#more').click();")
    browser.execute_script("return document.body.scrollHeight")
    return ready / 1000, time.perf_counter() - started


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        count = write(Path(sys.argv[1]), page)
        print(f"{count:,} images: {files.size_text(page.stat().st_size)}")
        browser = opened()
        try:
            times = [load(browser, page) for _ in range(RUNS)]
        finally:
            browser.quit()
        ready, whole = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"open and ready: {ready:.2f} s (median of {RUNS}); every card put into the page: {whole:.2f} s more")
