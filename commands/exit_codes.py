"""What a command ends with; `starter.py --help` says it in words."""

from collections.abc import Mapping

from domain.requests import Unavailable
from usecases.errors import InvalidMessage, InvalidOrder, OrderConflict, OrderNotFound, Unreachable
from usecases.settings import BadSettings

OK, REFUSED, INVALID, NOT_FOUND, CONFLICT, UNREACHABLE, BUG, INTERRUPTED = 0, 1, 2, 3, 4, 5, 70, 130

_OF_ERRORS: Mapping[type[Exception], int] = {
    InvalidOrder: INVALID,
    InvalidMessage: INVALID,
    BadSettings: INVALID,
    OrderNotFound: NOT_FOUND,
    OrderConflict: CONFLICT,
    Unreachable: UNREACHABLE,
    Unavailable: UNREACHABLE,
}


def exit_code(error: Exception) -> int:
    return _OF_ERRORS.get(type(error), REFUSED)
