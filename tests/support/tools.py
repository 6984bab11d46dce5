"""What a test needs of the machine: where it is missing a test is skipped, and in CI that is an error."""

import ctypes
import os
import shutil
from contextlib import contextmanager

import pytest

from support.paths import ROOT

PACKAGES = dict(line.split() for line in (ROOT / ".ci/packages").read_text().splitlines())
"""The Debian package of each program that tests start."""


def missing(reason):
    """Skip the test, or let it fail in CI, where nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must not skip this test: {reason}")
    pytest.skip(reason)


def require_tool(name):
    """Return the path of a program, without which the test cannot run."""
    found = shutil.which(name)
    if found is None:
        missing(f"{name} is not installed: apt-get install {PACKAGES[name]}")
    return found


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


_VERSION_3 = 0x20080522
_READS_EVERYTHING = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which root reads what nobody may read."""


@contextmanager
def bound_by_modes():
    """Let file modes bind this thread as they bind any user's, also where the tests run as root (Linux only)."""
    if os.geteuid() != 0:
        yield
        return
    header, sets = _Header(_VERSION_3, 0), (_Sets * 2)()
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.capget(ctypes.byref(header), sets) == 0, os.strerror(ctypes.get_errno())
    effective = sets[0].effective
    sets[0].effective = effective & ~_READS_EVERYTHING
    assert libc.capset(ctypes.byref(header), sets) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        sets[0].effective = effective
        assert libc.capset(ctypes.byref(header), sets) == 0, os.strerror(ctypes.get_errno())
