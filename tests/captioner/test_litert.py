"""Noise on file descriptor 2 is dropped, and nothing else; a file that is not a graph is a named error."""

import os

import pytest

from capgen.captioner.backends.litert import LiteRTSession
from capgen.errors import BundleError
from capgen.storage.stderr import suppress_lines


def test_only_the_lines_named_are_dropped(capfd):
    with suppress_lines((b"INFO: Created",)):
        os.write(2, b"INFO: Created a delegate\nwarning: something\nno newline")
    assert capfd.readouterr().err == "warning: something\nno newline"


def test_what_was_written_before_an_error_is_passed_on(capfd):
    with pytest.raises(ZeroDivisionError), suppress_lines((b"INFO",)):
        os.write(2, b"kept\n")
        1 / 0  # noqa: B018
    assert capfd.readouterr().err == "kept\n"


@pytest.mark.parametrize("data", [b"", b"nothing", b"\x00" * 1000])
def test_a_file_that_is_no_graph_is_an_error_that_names_it(tmp_path, data):
    path = tmp_path / "decoder.tflite"
    path.write_bytes(data)
    with pytest.raises(BundleError, match=r"decoder\.tflite is not a graph"):
        LiteRTSession(path, threads=1)


def test_threads_that_hold_lines_back_at_once_leave_standard_error_as_it_was(capfd):
    import threading
    import time

    def work():
        for _ in range(20):
            with suppress_lines((b"noise",)):
                os.write(2, b"noise\n")
                time.sleep(0.001)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "still here\n"
