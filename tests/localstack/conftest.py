"""A folder that PostgreSQL's own user can get through to; pytest's tmp_path is closed to everybody else."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def state_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="openorders-test-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)
