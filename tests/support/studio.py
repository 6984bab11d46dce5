"""A folder with a prepared data set, and what the workers of a test run share."""

import fcntl
import json
import os
import shutil

from support.commands import capgen, here

SETTINGS = (
    "lstm_size=64", "embedding_size=64", "heads=4", "batch_size=4", "min_count=1", "dropout=0.2",
    "learning_rate=0.005", "patience=20", "warmup_steps=2", "captions_per_image=2", "guidance=1.1",
)  # fmt: skip
"""Settings of a captioner that learns the drawn data set in seconds."""


class Studio:
    """Places with a prepared data set named ``shapes``."""

    def __init__(self, folder, source):
        self.folder = folder
        self.env = {"CAPGEN_CACHE_DIR": str(folder / "cache"), "CAPGEN_DATA_DIR": str(folder / "user")}
        self.source = source

    def run(self, *arguments, **more):
        """Run the command in this process, with more in its environment."""
        return here(*arguments, env={**self.env, **more})

    def process(self, *arguments, **more):
        """Run it as a user would."""
        return capgen(*arguments, env={**self.env, **more})

    def copy(self, folder):
        """The same in another folder; the images stay where they are."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Studio(folder, self.source)


def of_all_workers(tmp_path_factory, name, make):
    """A folder that is filled once, by the worker that wants it first; what ``make`` returned lies in it as ``made``."""
    path = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        path = path.parent
    folder = path / name
    with (path / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)  # what one that failed has left
            made = make(folder)
            (folder / "made").write_text(json.dumps(made))
    return folder
