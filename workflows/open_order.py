"""An open order in a running workflow: its state, its clock, and the work that its state asks for."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.orders import OrderActivities
    from activities.steps import CloseInput, DeliveryInput
    from domain.changes import as_told, progress_since, untold, whole_progress
    from domain.charging import rest_to_void
    from domain.deadlines import apply_due, next_deadline
    from domain.effects import Effect, RecordDelivery
    from domain.order import answered, edit, performed
    from domain.placement import is_paying
    from domain.progress import Progress
    from domain.readiness import is_ready
    from domain.requests import RowsAhead
    from domain.results import OrderResult
    from domain.state import OrderState, Phase
    from domain.status import attention, is_at_rest
    from domain.timeline import ENTRIES_KEPT
    from domain.views import details
    from workflows.attributes import search_attributes
    from workflows.performing import WRITES_ROWS, Answer, perform
    from workflows.steps import store_step

_SAVE = "save"
_SOON = 0.001
"""Seconds; the shortest timer there is."""

_Answer = TypeVar("_Answer")


class Outcome(NamedTuple):
    """How the order stood when an effect was answered, and what the answer alone made of it."""

    before: OrderState
    after: OrderState


class OpenOrder:
    """Holds the one state object. Whoever changes it sets `state`; `work_until` does the rest.

    Effects are performed side by side, each by a task of its own that ends only when it is done.
    What else changed goes to PostgreSQL with the next effect that writes there, or alone.
    """

    def __init__(self, state: OrderState, saved: OrderState) -> None:
        """`saved` is what PostgreSQL has of it already."""
        self.state = state
        self._saved = saved
        self._running: dict[str, asyncio.Task[None]] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._saves = 0
        self._alarm: _Alarm | None = None
        self._cut: _Alarm | None = None
        self._uncut: OrderState | None = None
        self._rung_for = state.origin
        self._attributes = {pair.key.name: pair.value for pair in workflow.info().typed_search_attributes}
        self._bug: BaseException | None = None
        self._unrecorded_at = -1

    @property
    def now(self) -> datetime:
        """Business time: the origin plus the factor times what has elapsed, and never before an alarm that rang."""
        return max(self._rung_for, self._by_the_clock)

    @property
    def _by_the_clock(self) -> datetime:
        return self.state.origin + (workflow.now() - self.state.started_at) * self.state.factor

    def obeys_update(self) -> None:
        """What is asked for from now on may be for an update that is not in the history yet."""
        self._unrecorded_at = workflow.info().get_current_history_length()

    async def outcome(self, effect_key: str) -> Outcome:
        """Wait until an effect that was just asked for is performed."""
        self._outcomes[effect_key] = Outcome(self.state, self.state)
        await workflow.wait_condition(lambda: all(effect.key != effect_key for effect in self.state.effects))
        return self._outcomes.pop(effect_key)

    @property
    def may_be_cut(self) -> bool:
        """A new run is due, nothing is under way and nothing unsaved: the state alone carries the order on."""
        if self._cut is None or not self._cut.rang or self._running:
            return False
        return progress_since(self._saved, self.state, self.now) is None

    async def work_until(self, done: Callable[[OrderState], bool]) -> None:
        """Perform effects, save what changed and keep the deadlines until `done` holds."""
        while True:
            # Only a timer makes a deadline due, never the clock alone. After a restart the SDK may tell of a timer
            # at the time of an earlier local activity, and at its own time in the next replay: what the order does
            # must follow from events, or the two take different ways and the order is stuck.
            if self._alarm is not None and self._alarm.rang:
                self._rung_for = max(self._rung_for, self._alarm.at)
            self.state = apply_due(self.state, self.now, until=self._rung_for)
            if done(self.state):
                return  # what has changed goes with what comes next, or with the end
            self._start_effects()
            self._save_what_changed()
            self._show()
            self._set_alarm()
            self._set_cut()
            seen = self.state
            await workflow.wait_condition(lambda seen=seen: self._needs_work(seen))  # type: ignore[misc]
            if self._bug is not None:
                # A bug must suspend the order until the code is mended, not vanish in a task.
                raise self._bug

    def _needs_work(self, seen: OrderState) -> bool:
        rang = any(alarm is not None and alarm.rang for alarm in (self._alarm, self._cut))
        return self.state is not seen or self._bug is not None or rang or self._is_cut_due

    @property
    def may_close(self) -> bool:
        """Nothing is left to do but what `close` does."""
        return is_at_rest(self.state) or self._last_delivery is not None

    @property
    def _last_delivery(self) -> RecordDelivery | None:
        """The delivery confirmation that is all there is left to do: it closes the order in the same step."""
        match self.state.effects:
            case (RecordDelivery() as last,) if last.key not in self._running and not rest_to_void(self.state):
                return last if is_at_rest(performed(self.state, last.key)) else None
        return None

    async def rest(self) -> None:
        """Wait until nothing is under way."""
        await workflow.wait_condition(lambda: not self._running or self._bug is not None)
        if self._bug is not None:
            raise self._bug

    # -- effects and rows ----------------------------------------------------------------

    def _start_effects(self) -> None:
        for effect in self.state.effects:
            if effect.key not in self._running and is_ready(self.state, effect):
                progress = self.take_progress() if isinstance(effect, WRITES_ROWS) else None
                self._run(effect.key, self._perform(effect, progress))

    async def _perform(self, effect: Effect, progress: Progress | None) -> None:
        recorded = workflow.info().get_current_history_length() != self._unrecorded_at

        async def step(progress: Progress | None) -> Answer:
            return await perform(self.state, effect, progress, self.now, recorded, lambda: self._show(anyway=True))

        answer = await (step(None) if progress is None else self._write(progress, step))
        before = self.state
        self.state = answered(before, effect.key, answer, self.now)
        if effect.key in self._outcomes:
            self._outcomes[effect.key] = Outcome(before, self.state)

    def _save_what_changed(self) -> None:
        parts = tuple(iter(self.take_progress, None))
        if parts:
            self._saves += 1
            self._run(f"{_SAVE}:{self._saves}", self._save(*parts))

    async def _save(self, *parts: Progress) -> None:
        for part in parts:
            await self._write(part, lambda progress: store_step(OrderActivities.save_progress, progress))

    async def _write(self, progress: Progress, write: Callable[[Progress], Awaitable[_Answer]]) -> _Answer:
        """Take a step that writes rows. Where rows are ahead that the history does not know, write all of them."""
        while True:
            try:
                return await write(progress)
            except RowsAhead as ahead:
                # The rows may be those of a later life of this order, and we a worker that stood still meanwhile.
                # The engine takes a timer from the worker that has the order, and from nobody else.
                await workflow.sleep(_SOON)
                version = max(self.state.version, ahead.version) + 1
                self.state = edit(self.state, version=version)
                progress = whole_progress(self.state, self.now, progress)
                self.state = self._saved = edit(self.state, mails=())

    def _run(self, key: str, work: Coroutine[None, None, None]) -> None:
        async def run() -> None:
            try:
                await work
            except FailureError as error:
                self._bug = RuntimeError(f"{key} gave up, though it should never")
                self._bug.__cause__ = error
            except Exception as error:
                self._bug = error
            finally:
                del self._running[key]

        self._running[key] = asyncio.create_task(run())

    def take_progress(self) -> Progress | None:
        """The rows that changed since they were last taken; None where none did."""
        progress = progress_since(self._saved, self.state, self.now)
        if progress is None:
            return None
        progress = progress.model_copy(update={"version": self.state.version + 1})
        self.state, self._saved = as_told(self.state, progress)
        return progress

    async def close(self, result: OrderResult) -> None:
        """Write the last rows together with the result, which a repeated order id gets back."""
        while untold(self._saved, self.state) > ENTRIES_KEPT and (part := self.take_progress()) is not None:
            await self._save(part)
        last = self._last_delivery
        self.state = edit(self.state, version=self.state.version + 1)
        progress = progress_since(self._saved, self.state, self.now)
        assert progress is not None
        self._show()
        await self.rest()
        await self._write(progress, lambda progress: self._write_result(progress, result, last))
        if last is not None:
            self.state = performed(self.state, last.key)

    async def _write_result(self, progress: Progress, result: OrderResult, last: RecordDelivery | None) -> None:
        if last is None:
            await store_step(OrderActivities.close_order, CloseInput(progress=progress, result=result))
            return
        delivery = DeliveryInput(order_id=self.state.order_id, effect=last, progress=progress, result=result)
        await store_step(OrderActivities.confirm_delivery, delivery, ", ".join(last.parcel_ids))

    # -- what people see ---------------------------------------------------------------------

    def _show(self, anyway: bool = False) -> None:
        """Tell the server only of search attributes that differ: each upsert is an event."""
        workflow.set_current_details(details(self.state))
        if not anyway and _is_being_placed(self.state):
            # What the payment provider says and the inventory check finds follows in the same workflow task, as a
            # rule, and is shown with it.
            return
        updates: list[SearchAttributeUpdate[Any]] = []
        for key, value in search_attributes(self.state):
            if self._attributes.get(key.name) != value:
                updates.append(key.value_unset() if value is None else key.value_set(value))
                self._attributes[key.name] = value
        if updates:
            workflow.upsert_search_attributes(updates)

    # -- time ----------------------------------------------------------------------------------

    def _set_alarm(self) -> None:
        """One timer for the next deadline of the whole order.

        A deadline of the same kind that moved to a later time keeps the timer: it rings early,
        finds nothing due and is set anew, which costs less than moving it each time. With no deadline
        left it is left alone, as the order's end takes it along.
        """
        due = next_deadline(self.state)
        alarm = self._alarm
        if alarm is not None and not alarm.rang:
            if due is None or (due.what == alarm.what and due.at >= alarm.at):
                return
            alarm.cancel()
        self._alarm = None
        if due is not None:
            seconds = (due.at - self.now).total_seconds() / self.state.factor
            self._alarm = _Alarm(due.what, due.at, max(seconds, _SOON))

    def _set_cut(self) -> None:
        """A timer to begin a new run at, when all is done; where it rings while something is under way, the next one.

        Not at once, when the last local activity ends: where a message comes meanwhile the server refuses the new run
        and asks again, and the SDK may then end that activity before it tells of the message. The run would be over
        before it has heard it. A timer that rings is told of after messages.
        """
        if self._cut is not None and self._cut.rang:
            self._cut = None
            if not self._running:
                self._uncut = self.state  # a message is being answered, or the order is not that far yet
        if self._is_cut_due:
            self._cut = _Alarm("a new run", self.now, _SOON)

    @property
    def _is_cut_due(self) -> bool:
        """Whatever has made the history long, also what changed nothing; once for a state that could not be cut."""
        if self._cut is not None or self._running or self.state is self._uncut:
            return False
        return workflow.info().is_continue_as_new_suggested()


def _is_being_placed(state: OrderState) -> bool:
    is_first = state.phase is Phase.CHECKING or (state.phase is Phase.PAYING and is_paying(state))
    return is_first and not attention(state)


class _Alarm:
    """A timer of the server, with the deadline it was set for."""

    def __init__(self, what: str, at: datetime, seconds: float) -> None:
        self.what = what
        self.at = at
        self.rang = False
        self._task = asyncio.create_task(self._ring(seconds))

    async def _ring(self, seconds: float) -> None:
        await workflow.sleep(seconds, summary=self.what)
        self.rang = True

    def cancel(self) -> None:
        self._task.cancel()
