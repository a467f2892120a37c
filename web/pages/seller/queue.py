"""What is to ship, the most urgent first, and doing the same with many at once."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from store.views.sellers import QueueCounts
from usecases.selling import Outcome, for_each
from web.pages.flashes import back_to
from web.pages.seller.desk import AtDesk, Desk, Parts, key_of, parts_of, text_of, texts_of
from web.pages.seller.printing import all_labels, labels_of_all, slips_of_all
from web.pages.sessions import Form
from web.problems import HttpProblem

router = APIRouter()

Show = Literal["all", "late", "today", "tomorrow", "later", "on_hold", "cancellations"]
PAGE = 50
_AFTER = r"^[A-Za-z0-9_-]{1,64}:[A-Za-z0-9_.-]{1,80}$"


class Tab(NamedTuple):
    show: Show
    label: str
    waiting: int
    color: str


@router.get("/seller")
async def queue(
    request: Request, desk: AtDesk, show: Show = "all", after: Annotated[str | None, Query(pattern=_AFTER)] = None
) -> Response:
    now = datetime.now(UTC)
    ends = desk.ends_of_days(now)
    counts = await desk.services.sellers.counts(desk.seller, now, *ends)
    page = await desk.services.sellers.queue(desk.seller, after=after, limit=PAGE, **_filters(show, now, *ends))
    items = await desk.services.sellers.items(
        desk.seller, [(row.order_id, row.fulfillment_id) for row in page.fulfillments]
    )
    more = f"/seller?{urlencode({'show': show, 'after': page.next})}" if page.next else None
    return await desk.render(
        request,
        "seller.html",
        tabs=_tabs(counts),
        show=show,
        after=after,
        rows=page.fulfillments,
        items=items,
        more=more,
        now=now,
        today_ends=ends[0],
        sells_labels=desk.sells_labels,
    )


def _filters(show: Show, now: datetime, today_ends: datetime, tomorrow_ends: datetime) -> Mapping[str, Any]:
    tick = timedelta(microseconds=1)
    windows: Mapping[Show, Mapping[str, Any]] = {
        "late": {"due_until": now - tick, "on_hold": False},
        "today": {"due_from": now, "due_until": today_ends, "on_hold": False},
        "tomorrow": {"due_from": today_ends + tick, "due_until": tomorrow_ends, "on_hold": False},
        "later": {"due_from": tomorrow_ends + tick, "on_hold": False},
        "on_hold": {"on_hold": True},
        "cancellations": {"cancellation_asked": True},
    }
    return windows.get(show, {})


def _tabs(counts: QueueCounts) -> tuple[Tab, ...]:
    everything = counts.late + counts.today + counts.tomorrow + counts.later + counts.on_hold
    return (
        Tab("all", "All open", everything, ""),
        Tab("late", "Late", counts.late, "bad"),
        Tab("today", "Today", counts.today, "warn"),
        Tab("tomorrow", "Tomorrow", counts.tomorrow, ""),
        Tab("later", "Later", counts.later, ""),
        Tab("on_hold", "On hold", counts.on_hold, "warn"),
        Tab("cancellations", "Cancellations", counts.cancellations, "bad"),
    )


# -- many at once ----------------------------------------------------------------------------


class Follow(NamedTuple):
    """What is offered next, for the parts that it makes sense for."""

    do: str
    label: str
    parts: Parts
    prints: bool = False
    primary: bool = False


@router.post("/seller/chosen")
async def chosen(request: Request, desk: AtDesk, form: Form) -> Response:
    """Nothing is lost: what goes wrong with one stops no other, and each is answered for."""
    parts = parts_of(texts_of(form, "chosen"))
    key = key_of(form)
    if not parts:
        return back_to(request, "/seller", "bad", "Nothing was chosen: tick the orders first.")
    match text_of(form, "do"):
        case "slips":
            return await _printed(request, desk, parts, "slips")
        case "labels":
            return await _printed(request, desk, parts, "labels")
        case "labels-there":
            return await labels_of_all(desk, parts)
        case "pack":
            return await _packed(request, desk, parts, key, buy_labels=False)
        case "pack-labels":
            return await _packed(request, desk, parts, key, buy_labels=desk.sells_labels)
        case "ship":
            return await _shipped(request, desk, parts, key)
        case _:
            raise HttpProblem(422, "invalid-form", "This form is not complete. Please go back and try again.")


async def _printed(request: Request, desk: Desk, parts: Parts, what: Literal["slips", "labels"]) -> Response:
    """The PDF, or where something is missing in it what and why."""
    if what == "slips":
        return await slips_of_all(desk, parts)
    missing = await all_labels(desk, parts)
    if isinstance(missing, Response):
        return missing
    there = tuple(part for part in parts if any(found.state == "done" and _id(found) == part for found in missing))
    offers = (
        [Follow("labels-there", "Print the labels that are there", parts, prints=True, primary=True)] if there else []
    )
    return await _results(request, desk, "Labels", missing, offers)


async def _packed(request: Request, desk: Desk, parts: Parts, key: str, *, buy_labels: bool) -> Response:
    async def pack(order_id: str, fulfillment_id: str) -> str:
        own_key = f"{key}:{fulfillment_id}"
        return await desk.selling.pack_as_listed(desk.caller, order_id, fulfillment_id, own_key, buy_labels=buy_labels)

    outcomes = await for_each(parts, pack)
    done = _done(outcomes)
    offers = [
        Follow("labels", "Print labels", done, prints=True, primary=True) if buy_labels else None,
        Follow("slips", "Print packing slips", done, prints=True),
        Follow("ship", "Ship with labels", done) if desk.sells_labels else None,
    ]
    return await _results(request, desk, "Packed as listed", outcomes, [offer for offer in offers if offer and done])


async def _shipped(request: Request, desk: Desk, parts: Parts, key: str) -> Response:
    async def ship(order_id: str, fulfillment_id: str) -> str:
        return await desk.selling.ship_with_labels(desk.caller, order_id, fulfillment_id, f"{key}:{fulfillment_id}")

    outcomes = await for_each(parts, ship)
    done = _done(outcomes)
    offers = [Follow("labels", "Print labels", done, prints=True, primary=True)] if done else []
    return await _results(request, desk, "Shipped with labels", outcomes, offers)


def _done(outcomes: tuple[Outcome, ...]) -> Parts:
    return tuple(_id(outcome) for outcome in outcomes if outcome.state == "done")


def _id(outcome: Outcome) -> tuple[str, str]:
    return outcome.order_id, outcome.fulfillment_id


async def _results(
    request: Request, desk: Desk, headline: str, outcomes: tuple[Outcome, ...], offers: list[Follow]
) -> Response:
    failed = tuple(outcome for outcome in outcomes if outcome.state == "failed")
    return await desk.render(
        request,
        "seller_results.html",
        headline=headline,
        outcomes=sorted(outcomes, key=lambda outcome: outcome.state != "failed"),
        failed=failed,
        offers=offers,
    )
