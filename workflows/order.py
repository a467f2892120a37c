"""The order: one durable workflow from checkout to the doorstep, with every message it obeys."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel

    from activities.orders import OrderActivities
    from activities.reconciling import TakeUpActivities
    from activities.steps import AcceptInput
    from domain import messages as m
    from domain import obedience
    from domain.charging import ask_to_void_rest, rest_to_void
    from domain.decoding import Refusal, decode
    from domain.handoff import tracking_of
    from domain.order import RUN, counted, edit, is_pending, numbered, seller_of, the_parcel, update_cause
    from domain.parcels import is_early
    from domain.placement import open_order, placed
    from domain.placing import PlaceOrder
    from domain.results import (
        Accepted,
        CancelResult,
        MoneyResult,
        OrderResult,
        PackingList,
        PackResult,
        ShipResult,
        ShortageResult,
        StatusView,
        TimelineView,
    )
    from domain.service import note_refused, note_unknown_signal
    from domain.shortage import shortage_of
    from domain.state import OrderState, Parcel, ParcelStage, Phase
    from domain.status import is_at_rest, order_status
    from domain.taking_up import TakeUp, as_it_stood, taken_up
    from domain.views import order_result, packing_list_view, status_view, timeline_view
    from workflows import names
    from workflows.answers import Answers, answered_once, is_answered
    from workflows.attributes import typed_search_attributes
    from workflows.codec import ClearRefusal
    from workflows.open_order import OpenOrder
    from workflows.options import STORE_PATIENT
    from workflows.reading import as_when_it_came, in_clear
    from workflows.steps import outside_step, store_step

_Body = TypeVar("_Body", bound=BaseModel)
_BREATH = 0.5
"""Seconds."""

_SAYS = {message.name: m.help_text(message) for message in m.MESSAGES + m.QUERIES}


@workflow.defn
class OrderWorkflow:
    """Workflow id `order:<order_id>`; takes one `PlaceOrder`, returns an `OrderResult`.

    Arguments come as plain JSON and are decoded here: the SDK would retry a start that does not
    fit for ever, and drop such a signal in silence.
    """

    @workflow.init
    def __init__(self, *arguments: Any) -> None:
        self._order: OpenOrder | None = None
        self._ended = False
        self.answers = Answers()
        self.local_turn = asyncio.Lock()
        if workflow.info().continued_run_id is not None:
            state = OrderState.model_validate(in_clear(arguments)[0])
            self.answers = Answers(state.answered)
            state = edit(state, answered=())
            self._order = OpenOrder(state, saved=state)

    @workflow.run
    async def run(self, *arguments: Any) -> OrderResult:
        """Accept, check the inventory, fulfill, close; shielded from the UI's cancel button."""
        process = asyncio.create_task(self._process(arguments))
        # Messages that wait for the order, the button's too, must learn that there will be none.
        process.add_done_callback(lambda _: self._end())
        while not process.done():
            try:
                # The button asks, as `cancel` does; it cuts no step in two.
                await asyncio.shield(process)
            except asyncio.CancelledError:
                await self._cancel_button()
            except ApplicationError:
                break
        await workflow.wait_condition(workflow.all_handlers_finished)
        return process.result()

    def _end(self) -> None:
        self._ended = True

    async def _process(self, arguments: tuple[Any, ...]) -> OrderResult:
        if self._order is None:
            self._order, earlier = await self._accept(arguments)
            if earlier is not None:
                return earlier
        order = self._order
        assert order is not None
        await order.work_until(_is_paid)
        await order.work_until(_is_checked)
        await self._fulfill(order)
        return await self._close(order)

    # -- the process ---------------------------------------------------------------------

    async def _accept(self, arguments: tuple[Any, ...]) -> tuple[OpenOrder | None, OrderResult | None]:
        """Decode and record the order; a repeated one gives the result it had."""
        arguments = as_when_it_came(arguments, "start")
        if arguments and isinstance(arguments[0], dict) and names.TAKE_UP in arguments[0]:
            return await self._take_up(decode(TakeUp, (arguments[0][names.TAKE_UP],)))
        order = decode(PlaceOrder, arguments)
        if isinstance(order, Refusal):
            raise _unfit("InvalidOrder", order)
        info = workflow.info()
        if info.workflow_id != f"order:{order.order_id}":
            raise _failure("InvalidOrder", f"order_id: {order.order_id!r} is not of {info.workflow_id!r}")
        # When the order was placed, not when a worker first looked at it: that may be hours later.
        started_at = info.workflow_start_time
        origin = order.clock.origin or started_at
        recorded = await store_step(
            OrderActivities.record_order,
            AcceptInput(order=order, first_run_id=info.first_execution_run_id, placed_at=origin),
        )
        match recorded.verdict:
            case "unknown_sku":
                unknown = (f"lines.{i}.sku: {seller} has no {sku!r} to sell" for i, sku, seller in recorded.unknown)
                raise _failure("InvalidOrder", "; ".join(unknown))
            case "conflict":
                raise _failure("OrderConflict", f"order_id: {order.order_id!r} was placed with another body")
            case "same":
                assert recorded.result is not None
                return None, OrderResult.model_validate_json(recorded.result)
            case "new":
                at = (origin, started_at)
                state = edit(open_order(order, recorded.lines, *at), page=recorded.page)
                return OpenOrder(state, saved=placed(order, recorded.lines, *at)), None

    async def _take_up(self, message: "TakeUp | Refusal") -> tuple[OpenOrder | None, OrderResult | None]:
        """Go on with an order whose own workflow is gone: see `docs/decisions/0021-orders-without-a-workflow.md`.

        A regular activity: done again after a crash, a local one would read what this run has written since.
        """
        if isinstance(message, Refusal):
            raise _unfit("InvalidOrder", message)
        if workflow.info().workflow_id != f"order:{message.order_id}":
            raise _failure("InvalidOrder", f"order_id: {message.order_id!r} is not of {workflow.info().workflow_id!r}")
        found = await outside_step(TakeUpActivities.take_up_order, message, STORE_PATIENT)
        if found.remains is None:
            if found.result is None:
                raise _failure("InvalidOrder", f"order_id: there is no order {message.order_id!r} to take up")
            return None, found.result
        saved = as_it_stood(found.remains, workflow.now())
        order = OpenOrder(saved, saved=saved)
        order.state = taken_up(saved, found.remains, message, order.now)
        return order, None

    async def _fulfill(self, order: OpenOrder) -> None:
        """Until every unit is at rest, over as many runs as it takes."""
        while True:
            await order.work_until(lambda _: order.may_close or _may_continue(order))
            if order.may_close:
                return
            order.state, _ = numbered(order.state, RUN)
            # Attributes too: one that was unset would come over as null, and no worker could read the next run.
            state = edit(order.state, answered=self.answers.kept())
            workflow.continue_as_new(args=[state], search_attributes=typed_search_attributes(state))

    async def _close(self, order: OpenOrder) -> OrderResult:
        """Void what is left of the authorization; then nothing waits for anything any more."""
        while rest_to_void(order.state) > 0:
            order.state = ask_to_void_rest(order.state)
            await order.work_until(lambda _: order.may_close)
        order.state = edit(order.state, phase=Phase.CLOSED)
        result = order_result(order.state)
        await order.close(result)
        return result

    async def _cancel_button(self) -> None:
        """The engine delivers it once only: where it is refused, the timeline names the signal."""
        # The SDK cancels all tasks of an order that it forgets, too, and lets none of them wait any more.
        await workflow.wait_condition(lambda: True)
        reason = workflow.cancellation_reason() or "cancelled in the Temporal UI"
        await self._signal("cancel", m.Cancel, ({"by": "support", "reason": reason},))

    # -- how every message is obeyed -------------------------------------------------------

    def _check(self, name: str, body: type[BaseModel], arguments: tuple[Any, ...]) -> None:
        """For validators: raises the refusal to the caller, and leaves no event."""
        if is_answered(self.answers):
            return
        message = decode(body, arguments)
        if isinstance(message, Refusal):
            raise _unfit("InvalidMessage", message)
        if self._order is not None:
            reason = obedience.refusal(self._order.state, name, message, self._order.now)
            if reason is not None:
                raise _failure("Refused", reason)

    async def _obey(self, name: str, body: type[_Body], arguments: tuple[Any, ...]) -> tuple[_Body, Any]:
        """For updates: change the state at once; gives the message and what its answer needs."""
        arguments = in_clear(arguments)  # the validator has refused what encryption forbids
        if self._order is None:
            # It came before the order was recorded, when its validator could not look yet.
            await workflow.wait_condition(lambda: self._order is not None or self._ended)
            self._check(name, body, arguments)
        message = decode(body, arguments)
        if self._order is None or isinstance(message, Refusal):
            raise _failure("Refused", "the order was not accepted")
        self._order.obeys_update()
        update = workflow.current_update_info()
        assert update is not None
        cause = update_cause(self._order.state, update.id)
        self._order.state, answer = obedience.obey(self._order.state, name, message, self._order.now, cause)
        return message, answer

    async def _signal(self, name: str, body: type[BaseModel], arguments: tuple[Any, ...]) -> None:
        """For signals: nobody hears a refusal, so it stands in the timeline."""
        if self._order is None:
            # Never without need: a message that came later, in the same breath, would be obeyed first.
            await workflow.wait_condition(lambda: self._order is not None or self._ended)
        order = self._order
        if order is None:
            return
        # Signals keep the order of the history, also where a worker dies over one.
        order.state, number = numbered(order.state, "signal")
        message = decode(body, as_when_it_came(arguments, f"signal-{number}"))
        if isinstance(message, Refusal):
            order.state = note_refused(order.state, name, "unknown", message.reason, order.now)
            return
        if isinstance(message, m.CarrierEvent):
            await self._handoff_is_told(message)
        reason = obedience.refusal(order.state, name, message, order.now)
        if reason is not None:
            by = getattr(message, "by", "marketplace")
            order.state = note_refused(order.state, name, by, reason, order.now)
            return
        order.state, _ = obedience.obey(order.state, name, message, order.now, f"signal-{number}")

    async def _handoff_is_told(self, scan: m.CarrierEvent) -> None:
        """After a crash the engine tells of a scan before the handoff that it is of, in the same breath."""
        if is_early(self._open.state, scan):
            with suppress(TimeoutError):
                await workflow.wait_condition(lambda: not is_early(self._open.state, scan), timeout=_BREATH)

    @property
    def _open(self) -> OpenOrder:
        assert self._order is not None
        return self._order

    def _status(self, by: str) -> str:
        """The order's; for a seller that of its own units."""
        return order_status(self._open.state, seller_of(by))

    def _accepted(self, by: str, what: str, about: str | None = None) -> Accepted:
        return Accepted(what=what, status=self._status(by), id=about)

    # -- signals -----------------------------------------------------------------------------

    @workflow.signal(name="cancel", description=_SAYS["cancel"])
    async def signal_cancel(self, *arguments: Any) -> None:
        await self._signal("cancel", m.Cancel, arguments)

    @workflow.signal(name="pack", description=_SAYS["pack"])
    async def signal_pack(self, *arguments: Any) -> None:
        await self._signal("pack", m.Pack, arguments)

    @workflow.signal(name="ship", description=_SAYS["ship"])
    async def signal_ship(self, *arguments: Any) -> None:
        await self._signal("ship", m.Ship, arguments)

    @workflow.signal(description=_SAYS["carrier_event"])
    async def carrier_event(self, *arguments: Any) -> None:
        await self._signal("carrier_event", m.CarrierEvent, arguments)

    @workflow.signal(description=_SAYS["network_event"])
    async def network_event(self, *arguments: Any) -> None:
        await self._signal("network_event", m.NetworkEvent, arguments)

    @workflow.signal(description=_SAYS["stock_allocated"])
    async def stock_allocated(self, *arguments: Any) -> None:
        await self._signal("stock_allocated", m.StockAllocated, arguments)

    @workflow.signal(dynamic=True)
    async def unknown_signal(self, name: str, arguments: Sequence[RawValue]) -> None:
        """Without this the SDK keeps a mistyped name for ever and tells nobody."""
        if self._order is None:
            await workflow.wait_condition(lambda: self._order is not None or self._ended)
        if self._order is not None:
            self._order.state = note_unknown_signal(self._order.state, name, self._order.now)

    # -- updates -----------------------------------------------------------------------------

    @workflow.update(description=_SAYS["cancel"])
    @answered_once
    async def cancel(self, *arguments: Any) -> CancelResult:
        _, answer = await self._obey("cancel", m.Cancel, arguments)
        return CancelResult.model_validate(answer)

    @cancel.validator
    def check_cancel(self, *arguments: Any) -> None:
        self._check("cancel", m.Cancel, arguments)

    @workflow.update(description=_SAYS["pack"])
    @answered_once
    async def pack(self, *arguments: Any) -> PackResult:
        message, parcel_ids = await self._obey("pack", m.Pack, arguments)
        what = f"{counted(len(parcel_ids), 'parcel')} of {message.fulfillment_id} packed"
        return PackResult(what=what, status=self._status(message.by), parcel_ids=parcel_ids)

    @pack.validator
    def check_pack(self, *arguments: Any) -> None:
        self._check("pack", m.Pack, arguments)

    @workflow.update(description=_SAYS["ship"])
    @answered_once
    async def ship(self, *arguments: Any) -> ShipResult:
        """Answers when the parcels have left, which for some waits for a label."""
        message, parcel_ids = await self._obey("ship", m.Ship, arguments)
        order = self._open

        def parcels() -> list[Parcel]:
            return [the_parcel(order.state, parcel_id) for parcel_id in parcel_ids]

        await workflow.wait_condition(lambda: all(p.stage is not ParcelStage.SHIPPING for p in parcels()))
        left = [parcel for parcel in parcels() if parcel.stage is ParcelStage.SHIPPED]
        if not left:
            raise _failure("Refused", "no label could be bought: give carrier and tracking_number")
        what = f"{len(left)} of {counted(len(parcel_ids), 'parcel')} handed over"
        return ShipResult(
            what=what, status=self._status(message.by), parcels=tuple(tracking_of(parcel) for parcel in left)
        )

    @ship.validator
    def check_ship(self, *arguments: Any) -> None:
        self._check("ship", m.Ship, arguments)

    @workflow.update(description=_SAYS["unpack"])
    @answered_once
    async def unpack(self, *arguments: Any) -> Accepted:
        message, _ = await self._obey("unpack", m.Unpack, arguments)
        return self._accepted(message.by, f"parcels of {message.fulfillment_id} unpacked")

    @unpack.validator
    def check_unpack(self, *arguments: Any) -> None:
        self._check("unpack", m.Unpack, arguments)

    @workflow.update(description=_SAYS["confirm_delivery"])
    @answered_once
    async def confirm_delivery(self, *arguments: Any) -> Accepted:
        message, _ = await self._obey("confirm_delivery", m.ConfirmDelivery, arguments)
        return self._accepted(message.by, "delivery confirmed")

    @confirm_delivery.validator
    def check_confirm_delivery(self, *arguments: Any) -> None:
        self._check("confirm_delivery", m.ConfirmDelivery, arguments)

    @workflow.update(description=_SAYS["reject_lines"])
    @answered_once
    async def reject_lines(self, *arguments: Any) -> Accepted:
        message, _ = await self._obey("reject_lines", m.RejectLines, arguments)
        return self._accepted(message.by, f"units of {message.fulfillment_id} rejected; other stock is looked for")

    @reject_lines.validator
    def check_reject_lines(self, *arguments: Any) -> None:
        self._check("reject_lines", m.RejectLines, arguments)

    @workflow.update(description=_SAYS["answer_cancellation"])
    @answered_once
    async def answer_cancellation(self, *arguments: Any) -> Accepted:
        message, _ = await self._obey("answer_cancellation", m.AnswerCancellation, arguments)
        return self._accepted(message.by, f"{message.request_id}: {message.answer}ed", message.request_id)

    @answer_cancellation.validator
    def check_answer_cancellation(self, *arguments: Any) -> None:
        self._check("answer_cancellation", m.AnswerCancellation, arguments)

    @workflow.update(description=_SAYS["choose_for_shortage"])
    @answered_once
    async def choose_for_shortage(self, *arguments: Any) -> ShortageResult:
        """A substitute is promised once it is reserved, so the answer waits for that."""
        message, substitute = await self._obey("choose_for_shortage", m.ChooseForShortage, arguments)
        what = f"line {message.line_id}: {message.choice}"
        if substitute is not None:
            order = self._open
            await workflow.wait_condition(lambda: not is_pending(order.state, substitute))
            if shortage_of(order.state, substitute) is not None:
                what += ", but it is out of stock by now as well"
        return ShortageResult(
            what=what, status=self._status(message.by), choice=message.choice, substitute_line_id=substitute
        )

    @choose_for_shortage.validator
    def check_choose_for_shortage(self, *arguments: Any) -> None:
        self._check("choose_for_shortage", m.ChooseForShortage, arguments)

    @workflow.update(description=_SAYS["change_address"])
    @answered_once
    async def change_address(self, *arguments: Any) -> Accepted:
        message, _ = await self._obey("change_address", m.ChangeAddress, arguments)
        return self._accepted(message.by, "address changed for everything that has not left")

    @change_address.validator
    def check_change_address(self, *arguments: Any) -> None:
        self._check("change_address", m.ChangeAddress, arguments)

    @workflow.update(description=_SAYS["update_payment"])
    @answered_once
    async def update_payment(self, *arguments: Any) -> MoneyResult:
        """Answers when the provider has."""
        message, key = await self._obey("update_payment", m.UpdatePayment, arguments)
        state = (await self._open.outcome(key)).after
        reasons = [payment.declined_because for payment in state.payments if payment.status == "declined"]
        return MoneyResult(
            what="declined" if reasons else "authorized",
            status=self._status(message.by),
            done=not reasons,
            amount=sum(payment.amount for payment in message.payments),
            refused_because="; ".join(sorted({reason or "" for reason in reasons})) or None,
        )

    @update_payment.validator
    def check_update_payment(self, *arguments: Any) -> None:
        self._check("update_payment", m.UpdatePayment, arguments)

    @workflow.update(description=_SAYS["hold"])
    @answered_once
    async def hold(self, *arguments: Any) -> Accepted:
        message, hold_id = await self._obey("hold", m.HoldOrder, arguments)
        return self._accepted(message.by, f"{hold_id} placed", hold_id)

    @hold.validator
    def check_hold(self, *arguments: Any) -> None:
        self._check("hold", m.HoldOrder, arguments)

    @workflow.update(description=_SAYS["release_hold"])
    @answered_once
    async def release_hold(self, *arguments: Any) -> Accepted:
        message, _ = await self._obey("release_hold", m.ReleaseHold, arguments)
        return self._accepted(message.by, f"{message.hold_id} released", message.hold_id)

    @release_hold.validator
    def check_release_hold(self, *arguments: Any) -> None:
        self._check("release_hold", m.ReleaseHold, arguments)

    @workflow.update(description=_SAYS["correct_tracking"])
    @answered_once
    async def correct_tracking(self, *arguments: Any) -> Accepted:
        message, _ = await self._obey("correct_tracking", m.CorrectTracking, arguments)
        return self._accepted(message.by, f"{message.parcel_id}: {message.carrier} {message.tracking_number}")

    @correct_tracking.validator
    def check_correct_tracking(self, *arguments: Any) -> None:
        self._check("correct_tracking", m.CorrectTracking, arguments)

    @workflow.update(description=_SAYS["report_issue"])
    @answered_once
    async def report_issue(self, *arguments: Any) -> Accepted:
        message, issue_id = await self._obey("report_issue", m.ReportIssue, arguments)
        return self._accepted(message.by, f"{issue_id} opened", issue_id)

    @report_issue.validator
    def check_report_issue(self, *arguments: Any) -> None:
        self._check("report_issue", m.ReportIssue, arguments)

    @workflow.update(description=_SAYS["resolve_issue"])
    @answered_once
    async def resolve_issue(self, *arguments: Any) -> Accepted:
        message, _ = await self._obey("resolve_issue", m.ResolveIssue, arguments)
        return self._accepted(message.by, f"{message.issue_id}: {message.remedy}", message.issue_id)

    @resolve_issue.validator
    def check_resolve_issue(self, *arguments: Any) -> None:
        self._check("resolve_issue", m.ResolveIssue, arguments)

    @workflow.update(description=_SAYS["goodwill_refund"])
    @answered_once
    async def goodwill_refund(self, *arguments: Any) -> MoneyResult:
        """Answers when the provider has."""
        message, key = await self._obey("goodwill_refund", m.GoodwillRefund, arguments)
        before, after = await self._open.outcome(key)
        done = after.money.refunded - before.money.refunded >= message.amount
        return MoneyResult(
            what="refunded" if done else "refused",
            status=self._status(message.by),
            done=done,
            amount=message.amount,
            refused_because=None if done else after.entries[-1].summary,
        )

    @goodwill_refund.validator
    def check_goodwill_refund(self, *arguments: Any) -> None:
        self._check("goodwill_refund", m.GoodwillRefund, arguments)

    @workflow.update(description=_SAYS["resend_mail"])
    @answered_once
    async def resend_mail(self, *arguments: Any) -> Accepted:
        """Answers when the mail was found, or not."""
        message, key = await self._obey("resend_mail", m.ResendMail, arguments)
        before, after = await self._open.outcome(key)
        if any(entry.what == "resend_mail_refused" for entry in after.entries[len(before.entries) :]):
            raise _failure("Refused", f"mail_key: no mail {message.mail_key!r} was sent")
        return self._accepted(message.by, "the mail goes out once more", key)

    @resend_mail.validator
    def check_resend_mail(self, *arguments: Any) -> None:
        self._check("resend_mail", m.ResendMail, arguments)

    @workflow.update(description=_SAYS["note"])
    @answered_once
    async def note(self, *arguments: Any) -> Accepted:
        message, _ = await self._obey("note", m.AddNote, arguments)
        return self._accepted(message.by, "noted")

    @note.validator
    def check_note(self, *arguments: Any) -> None:
        self._check("note", m.AddNote, arguments)

    # -- queries -----------------------------------------------------------------------------

    @workflow.query(description=_SAYS["status"])
    def status(self, *arguments: Any) -> StatusView:
        _read(m.StatusQuery, arguments)
        order = self._recorded
        return status_view(order.state, order.now)

    @workflow.query(description=_SAYS["timeline"])
    def timeline(self, *arguments: Any) -> TimelineView:
        return timeline_view(self._recorded.state, _read(m.TimelineQuery, arguments))

    @workflow.query(description=_SAYS["packing_list"])
    def packing_list(self, *arguments: Any) -> PackingList:
        query = _read(m.PackingListQuery, arguments)
        found = packing_list_view(self._recorded.state, query)
        if found is None:
            raise _unanswered(f"fulfillment_id: the order has no fulfillment {query.fulfillment_id!r}")
        return found

    @property
    def _recorded(self) -> OpenOrder:
        if self._order is None:
            raise _unanswered("the order was not accepted" if self._ended else "it has not been recorded yet")
        return self._order


def _read(body: type[_Body], arguments: tuple[Any, ...]) -> _Body:
    query = decode(body, arguments)
    if isinstance(query, Refusal):
        raise ClearRefusal(query.reason, type="InvalidMessage", non_retryable=True)
    return query


def _unanswered(reason: str) -> ApplicationError:
    """A query's refusal."""
    return ClearRefusal(reason, type="Refused", non_retryable=True)


def _unfit(kind: str, refusal: Refusal) -> ApplicationError:
    """A body that is not what it should be."""
    error = ClearRefusal if refusal.concealed else ApplicationError
    return error(refusal.reason, type=kind, non_retryable=True)


def _failure(kind: str, reason: str) -> ApplicationError:
    """An answer to the caller, never worth another try."""
    return ApplicationError(reason, type=kind, non_retryable=True)


def _is_paid(state: OrderState) -> bool:
    return state.phase is not Phase.PAYING or is_at_rest(state)


def _is_checked(state: OrderState) -> bool:
    return state.phase is not Phase.CHECKING or is_at_rest(state)


def _may_continue(order: OpenOrder) -> bool:
    """A long history is cut where the state alone carries the order on."""
    return order.may_be_cut and workflow.all_handlers_finished()
