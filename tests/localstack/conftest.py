"""Where the servers of a test keep their state."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import folder_for_postgres


@pytest.fixture
def state_dir() -> Iterator[Path]:
    with folder_for_postgres() as folder:
        yield folder
