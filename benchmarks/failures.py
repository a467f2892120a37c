"""What ends a measurement without a bug in it, told in one line."""

import subprocess
import sys
from collections.abc import Callable
from functools import wraps

from localstack.errors import LocalStackError


def told(measure: Callable[[], int]) -> Callable[[], int]:
    """For a command's `main`: gives its exit code, and 1 where it fails."""

    @wraps(measure)
    def command() -> int:
        try:
            return measure()
        except subprocess.CalledProcessError as error:
            print(f"benchmarks: not every order came to its end ({error}); see above", file=sys.stderr)
        except LocalStackError as error:
            print(f"benchmarks: {error}", file=sys.stderr)
        return 1

    return command
