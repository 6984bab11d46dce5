"""Work on threads: in order, bounded, and ended when its user stops."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples

from capgen.storage.pipeline import AHEAD, map_ahead


@settings(deadline=None, max_examples=examples(25))
@given(st.lists(st.integers()), st.integers(1, 4))
def test_results_come_in_order_each_with_its_item(items, workers):
    assert list(map_ahead(lambda item: item * 2, items, workers)) == [(item, item * 2) for item in items]


def test_it_reads_only_a_little_ahead():
    taken = []

    def source():
        for item in range(1000):
            taken.append(item)
            yield item

    results = map_ahead(lambda item: item, source(), workers=2)
    next(results)
    assert len(taken) <= 2 * AHEAD + 1
    results.close()


def test_what_the_function_raises_reaches_the_user():
    with pytest.raises(ZeroDivisionError):
        list(map_ahead(lambda item: 1 / item, [1, 0], workers=2))


def test_its_threads_end_when_the_user_stops():
    before = threading.active_count()
    results = map_ahead(lambda item: time.sleep(0.01), range(100), workers=3)
    next(results)
    results.close()
    assert threading.active_count() == before
