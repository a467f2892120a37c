"""What the start of a command costs before it does anything."""

import subprocess
import sys

from localstack.worker_process import CHECKOUT


def test_the_command_line_alone_loads_no_sql_and_no_web() -> None:
    """SQLAlchemy takes a third of a second, and most commands need none: those that do import it when they run."""
    program = "import sys, starter; starter.main(['--help']); print(*{name.split('.')[0] for name in sys.modules})"
    shown = subprocess.run([sys.executable, "-c", program], check=True, cwd=CHECKOUT, capture_output=True, text=True)
    loaded = set(shown.stdout.splitlines()[-1].split())
    assert {"commands", "temporalio"} <= loaded
    assert not loaded & {"store", "sqlalchemy", "psycopg", "web", "fastapi"}
