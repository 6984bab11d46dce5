"""What every engine promises; each entry of the registry of engines is tried. Ray is started once."""

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import pytest

from capgen.batch.engines import ENGINES
from capgen.batch.engines.ray import _kept_handler
from capgen.captioner.results import Result
from capgen.errors import EngineError, Status, StorageError, UnknownNameError

pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray, which runs in this process and uses what is deprecated


@dataclass(frozen=True)
class Squares:
    """Squares numbers, and does what is asked for on the way.

    Attributes:
        notes: A folder in which each worker that starts leaves a file.
        fails_at: A number whose square raises an error that capgen knows.
        dies_at: A number at which the process of the first worker that comes to it is killed.
        always_dies_at: A number at which the process of every worker that comes to it ends.
    """

    notes: Path
    fails_at: int | None = None
    dies_at: int | None = None
    always_dies_at: int | None = None

    def start(self):
        (self.notes / f"started-{os.getpid()}").touch()

        def square(numbers):
            for number in numbers:
                if isinstance(number, Result):
                    yield number
                    continue
                if number == self.fails_at:
                    raise StorageError(f"cannot write {number}")
                if number == self.dies_at and not (self.notes / "died").exists():
                    (self.notes / "died").touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                if number == self.always_dies_at:
                    with (self.notes / "deaths").open("a") as file:
                        file.write(f"{number}\n")
                    os._exit(1)
                yield number * number

        return square

    def given_up(self, number, error):
        return f"{number} {error.status}: {error}"


@pytest.fixture(scope="module")
def engines():
    """The engines by name, each entered when it is first wanted."""
    from ray import cloudpickle

    entered, module = {}, sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)  # workers elsewhere cannot import the tests
    yield entered
    cloudpickle.unregister_pickle_by_value(module)
    for engine in entered.values():
        engine.__exit__(None, None, None)


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.ray] if name == "ray" else []) for name in ENGINES])
def engine(request, engines):
    if request.param not in engines:
        kind = ENGINES[request.param]
        engines[request.param] = kind(workers=None if kind.in_this_process else 2).__enter__()
    return engines[request.param]


def test_there_is_a_result_for_each_item_in_their_order(engine, tmp_path):
    assert list(engine.map(Squares(tmp_path), range(300), block=7)) == [number * number for number in range(300)]


def test_no_items_have_no_results(engine, tmp_path):
    assert list(engine.map(Squares(tmp_path), [])) == []


class Unsendable(Squares):
    """Work that cannot be sent to another process."""

    def __reduce__(self):
        raise AssertionError("it is sent although there is nothing to do")


def test_work_is_sent_to_no_worker_before_there_is_something_to_do(engine, tmp_path):
    known = Result(Path("a.jpg"), Status.UNREADABLE, reason="its data is damaged")
    assert list(engine.map(Unsendable(tmp_path), [])) == []
    assert list(engine.map(Unsendable(tmp_path), [known])) == [known]


def test_the_handler_of_sigterm_is_kept_and_other_threads_leave_it_alone():
    def replaced():
        with _kept_handler():
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return signal.getsignal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    assert replaced() == before
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(replaced).result() == before


def test_a_result_among_the_items_takes_its_turn(engine, tmp_path):
    known = Result(Path("a.jpg"), Status.UNREADABLE, reason="its data is damaged")
    assert list(engine.map(Squares(tmp_path), [known, 2, known, 3, known])) == [known, 4, known, 9, known]
    assert list(engine.map(Squares(tmp_path), [known, known])) == [known, known]


def test_an_error_of_the_work_is_raised_as_it_is(engine, tmp_path):
    with pytest.raises(StorageError, match="cannot write 5"):
        list(engine.map(Squares(tmp_path, fails_at=5), range(10)))


def test_work_that_is_given_up_leaves_the_engine_fit_for_more(engine, tmp_path):
    results = engine.map(Squares(tmp_path), range(100_000), block=8)
    assert list(islice(results, 3)) == [0, 1, 4]
    results.close()
    assert list(engine.map(Squares(tmp_path), [7])) == [49]


def test_the_items_are_read_only_as_far_ahead_as_needed(engine, tmp_path, monkeypatch):
    if hasattr(module := sys.modules[type(engine).__module__], "WINDOW"):  # how many blocks one engine reads ahead
        monkeypatch.setattr(module, "WINDOW", 4)
    read = []
    results = engine.map(Squares(tmp_path), (read.append(number) or number for number in count()), block=4)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(read) <= 16
    results.close()


def test_the_work_is_started_once_in_each_worker(engine, tmp_path):
    list(engine.map(Squares(tmp_path), range(64), block=4))
    started = [path.name for path in tmp_path.glob("started-*")]
    assert 1 <= len(started) <= 2
    assert (f"started-{os.getpid()}" in started) == engine.in_this_process


def test_the_work_of_a_lost_worker_is_done_again(engine, tmp_path):
    if engine.in_this_process:
        pytest.skip("there is no other process that could be lost")
    expected = [number * number for number in range(40)]
    assert list(engine.map(Squares(tmp_path, dies_at=11), range(40), block=4)) == expected
    assert (tmp_path / "died").exists()


def test_an_item_that_ends_its_worker_each_time_is_given_up_and_costs_no_other(engine, tmp_path):
    if engine.in_this_process:
        pytest.skip("there is no other process that could be lost")
    squares = [number * number for number in range(12)]
    squares[5] = "5 crashed: the worker that had it was lost 3 times; it may take more memory than there is"
    assert list(engine.map(Squares(tmp_path, always_dies_at=5), range(12), block=4)) == squares
    assert (tmp_path / "deaths").read_text() == "5\n" * 3


def test_an_engine_that_is_not_known_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean ray"):
        ENGINES["rya"]


def test_a_cluster_that_does_not_answer_is_named():
    with pytest.raises(EngineError, match=r"nothing answers at 127\.0\.0\.1:9"):
        ENGINES["ray"](address="127.0.0.1:9").__enter__()
