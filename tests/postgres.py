"""A PostgreSQL of its own for tests that need no other server."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localstack.postgres import Postgres


@contextmanager
def folder_for_postgres() -> Iterator[Path]:
    """PostgreSQL's own user gets through to it; pytest's tmp_path is closed to everybody else."""
    with tempfile.TemporaryDirectory(prefix="openorders-test-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@contextmanager
def temporary_postgres() -> Iterator[Postgres]:
    """Empty, started, and gone at the end."""
    with folder_for_postgres() as folder:
        server = Postgres(folder / "postgres", durable=False)
        server.start()
        try:
            yield server
        finally:
            server.remove()
