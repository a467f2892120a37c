"""Updates that an earlier run of the order has answered: sent again, they get the same answer and no second effect.

Temporal tells two updates of one id apart within a run only. Whoever lost the answer just as a run ended sends the
update again, and the next run would take it for a new one.
"""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Protocol, TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.model import Frozen
    from domain.state import Answered

KEPT = 100
"""So many of the newest go on into the next run."""

_Answer = TypeVar("_Answer", bound=Frozen)


class Answers:
    def __init__(self, kept: tuple[Answered, ...] = ()) -> None:
        self._of_update = {one.update_id: one.answer for one in kept}

    def of(self, update_id: str) -> dict[str, Any] | None:
        return self._of_update.get(update_id)

    def keep(self, update_id: str, answer: Frozen) -> None:
        self._of_update[update_id] = answer.model_dump(mode="json")
        if len(self._of_update) > KEPT:
            del self._of_update[next(iter(self._of_update))]

    def kept(self) -> tuple[Answered, ...]:
        return tuple(Answered(update_id=update_id, answer=answer) for update_id, answer in self._of_update.items())


class _Answering(Protocol):
    answers: Answers


def answered_once(
    handler: Callable[..., Coroutine[Any, Any, _Answer]],
) -> Callable[..., Coroutine[Any, Any, _Answer]]:
    """For the handler of an update. A failed one is not kept: it may be tried again."""

    @wraps(handler)
    async def once(order: _Answering, *arguments: Any) -> Any:
        update = workflow.current_update_info()
        assert update is not None
        known = order.answers.of(update.id)
        if known is not None:
            return known
        answer = await handler(order, *arguments)
        order.answers.keep(update.id, answer)
        return answer

    return once


def is_answered(answers: Answers) -> bool:
    """For validators: what has been obeyed already would be refused now."""
    update = workflow.current_update_info()
    return update is not None and answers.of(update.id) is not None
