"""Captioners for tests in which it does not matter what is said."""

from dataclasses import replace

from capgen.captioner import bundle
from support.bundles import CONTENTS, DESCRIPTION


def install_fake(data_folder):
    """Let the ``fake`` backend caption, which takes no time, for whoever has this folder as capgen's data folder."""
    bundle.write(data_folder / "models/fake", replace(DESCRIPTION, name="fake", backend="fake"), CONTENTS)
    (data_folder / "default-captioner").write_text("fake\n")
