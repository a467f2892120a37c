"""Commands of `starter.py` one after the other in one process, so that each costs no second to start.

A line of stdin is the words of one, as JSON; the line of stdout that answers is its exit code, stdout and stderr.
"""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout

import starter


def main() -> None:
    for line in sys.stdin:
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            code = starter.main(json.loads(line))
        print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)


if __name__ == "__main__":
    main()
