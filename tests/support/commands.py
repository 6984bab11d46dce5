"""The command, in this process or in one of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


def invoked(*arguments, stdin=None):
    """Run the command in this process, which is then as it was; ``stdin`` is what it gets on its standard input."""
    from typer.testing import CliRunner

    from capgen.cli import app

    handler, environment = signal.getsignal(signal.SIGTERM), dict(os.environ)
    try:
        return CliRunner().invoke(app, list(map(str, arguments)), input=stdin)
    finally:
        signal.signal(signal.SIGTERM, handler)
        os.environ.clear()
        os.environ.update(environment)


def here(*arguments, env=None, stdin=None):
    """Run the command as ``capgen`` does, but in this process, which has imported already what it uses."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        done = invoked(*arguments, stdin=stdin)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def capgen(*arguments, env=None, cwd=None):
    """Run the real command in a process of its own, as a user would."""
    return subprocess.run(
        [Path(sys.executable).with_name("capgen"), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        check=False,
    )


def refused(done, *words, code=1):
    """Make sure that a command failed as it should, in one line with these words."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr
