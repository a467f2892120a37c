"""Orders from the command line: a command for every message and query, and to place, import, list, stock, check, count.

Exit codes: 0 done; 1 refused, or something does not add up; 2 wrong usage, settings or body; 3 no such order; 4 the
order id is taken by another body; 5 a server did not answer: the same command may be given again; 70 a bug of ours;
130 Ctrl-C. An error is one line on stderr; what was asked for goes to stdout, as JSON with `--json`.
"""

import asyncio
import os
import sys
import traceback

from commands.command_line import command_line
from commands.exit_codes import BUG, INTERRUPTED, INVALID, OK, exit_code
from commands.showing import say
from domain.requests import Unavailable
from usecases.errors import OrderError
from usecases.process import end_process
from usecases.settings import BadSettings


def main(argv: list[str]) -> int:
    try:
        arguments = command_line(__doc__).parse_args(argv)
        code: int = asyncio.run(arguments.run(arguments))
        sys.stdout.flush()
    except SystemExit as usage:
        return usage.code if isinstance(usage.code, int) else INVALID
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except (OrderError, BadSettings, Unavailable) as error:
        say(f"starter.py: {error}")
        return exit_code(error)
    except Exception:  # a bug of ours; the process must still end in the one place that it ends in
        traceback.print_exc()
        return BUG
    return code


if __name__ == "__main__":
    end_process(main(sys.argv[1:]))
