"""What the tests of data sets share."""

import pytest


@pytest.fixture
def source(user_folders):
    """An empty folder for a source, beside the folders of the user."""
    folder = user_folders / "source"
    folder.mkdir()
    return folder
