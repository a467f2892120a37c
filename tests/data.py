"""The folder of real data that tests read, which is no part of the repository."""

import os
from pathlib import Path

import pytest


def data_folder() -> Path:
    """The folder named by `OPENORDERS_DATA`; without it the test is skipped, and in CI it fails."""
    value = os.environ.get("OPENORDERS_DATA", "")
    folder = Path(value)
    if value and folder.is_dir():
        return folder
    why = f"OPENORDERS_DATA names no folder: {value!r}" if value else "OPENORDERS_DATA is not set"
    if os.environ.get("OPENORDERS_CI"):
        pytest.fail(why)
    pytest.skip(why)
