"""Hypothesis strategies: orders, stock, and messages that mostly make sense for an order as it is."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from domain.placing import Address, CartLine, Channel, PaymentMeans, PlaceOrder
from domain.policy import Policy
from domain.state import CarrierStatus, IssueKind, OrderState, Remedy
from domain.units import Place
from tests.domain.building import Luck, Shelf, address, an_order, card, cart_line

SELLERS = ("acme", "beta")
SKUS = ("MUG", "TEE")
WHO = ("customer", "support", "seller:acme", "seller:beta", "carrier", "network")


@st.composite
def cart_lines(draw: st.DrawFn) -> tuple[CartLine, ...]:
    count = draw(st.integers(1, 3))
    return tuple(
        cart_line(
            f"L{number}",
            draw(st.integers(1, 4)),
            draw(st.integers(0, 999)),
            sku=draw(st.sampled_from(SKUS)),
            seller=draw(st.sampled_from(SELLERS)),
            channel=draw(st.sampled_from((Channel.FBM, Channel.FBM, Channel.FBA))),
        )
        for number in range(1, count + 1)
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Also rules switched off, and waits of no time at all."""
    hours, days = st.sampled_from((0.0, 1.0, 48.0)), st.sampled_from((0.0, 1.0, 14.0))
    return Policy(
        payment_retry_hours=draw(hours),
        shortage_answer_hours=draw(hours),
        shortage_default=draw(st.sampled_from(("refund", "wait"))),
        backorder_days_max=draw(days),
        late_cancel_days=draw(st.sampled_from((None, 0.0, 7.0))),
        cancellation_answer_hours=draw(hours),
        cancellation_default=draw(st.sampled_from(("accept", "reject"))),
        silence_days=draw(days),
        lost_after_days=draw(st.sampled_from((None, 0.0, 14.0))),
        untracked_delivered_days=draw(days),
        unpaid_close_days=draw(days),
        issue_answer_hours=draw(hours),
        issue_default=draw(st.sampled_from(("refund", "wait"))),
    )


@st.composite
def payments_of(draw: st.DrawFn, total: int) -> tuple[PaymentMeans, ...]:
    if total < 2 or draw(st.booleans()):
        return (card(total),)
    first = draw(st.integers(1, total - 1))
    voucher = PaymentMeans.model_validate_json(f'{{"kind": "voucher", "token": "v", "amount": {first}}}')
    return (voucher, card(total - first))


@st.composite
def orders(draw: st.DrawFn) -> PlaceOrder:
    lines = draw(cart_lines())
    shipping, tax = draw(st.integers(0, 500)), draw(st.integers(0, 100))
    items = sum(line.quantity * line.unit_price for line in lines)
    discount = draw(st.integers(0, items + shipping + tax))
    total = items + shipping + tax - discount
    return an_order(
        *lines,
        shipping=shipping,
        tax=tax,
        discount=discount,
        payments=draw(payments_of(total)),
        policy=draw(st.one_of(st.just(Policy()), policies())),
    )


@st.composite
def shelves(draw: st.DrawFn) -> list[Shelf]:
    """Two locations of each seller's own, and one of the network."""
    return [
        Shelf(location, seller, sku, draw(st.sampled_from((0, 1, 2, 5, 9, 9))), channel, priority)
        for seller in SELLERS
        for sku in SKUS
        for location, channel, priority in (
            (f"{seller}-north", Channel.FBM, 1),
            (f"{seller}-south", Channel.FBM, 2),
            ("network-east", Channel.FBA, 1),
        )
    ]


@st.composite
def lucks(draw: st.DrawFn) -> Luck:
    """Mostly good; else bad in some ways."""
    if draw(st.integers(0, 2)):
        return Luck()
    return Luck(
        declined=frozenset(draw(st.sets(st.sampled_from(("1", "2", "3", "4"))))),
        captures=draw(st.booleans()),
        refunds=draw(st.booleans()),
        labels=draw(st.booleans()),
        network=draw(st.sampled_from(("Received", "Invalid", "Unfulfillable"))),
        network_cancels=draw(st.booleans()),
    )


# -- messages ------------------------------------------------------------------------


def _one_of(known: Sequence[str]) -> st.SearchStrategy[str]:
    """An id that the order has, seldom one that it has not."""
    return st.sampled_from((*known, *known, *known, *known, "nope"))


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _items(state: OrderState) -> st.SearchStrategy[list[dict[str, Any]]]:
    lines = [line.line_id for line in state.lines]
    item = st.fixed_dictionaries({"line_id": _one_of(lines), "quantity": _maybe(st.integers(1, 4))})
    return st.lists(item, min_size=1, max_size=3)


@st.composite
def _boxes(draw: st.DrawFn, state: OrderState, fulfillment_id: str) -> list[dict[str, Any]]:
    """What is on the shelf in one box or two; now and then a wrong item or a wrong count."""
    skus = {line.line_id: line.sku for line in state.lines}
    boxes: list[list[dict[str, Any]]] = [[], []]
    for unit in state.units:
        if unit.spot.fulfillment_id == fulfillment_id and unit.spot.place is Place.RESERVED:
            first = draw(st.integers(0, unit.quantity))
            for box, quantity in zip(boxes, (first, unit.quantity - first), strict=True):
                if quantity and draw(st.integers(0, 9)):
                    wrong = draw(st.integers(0, 30)) == 0
                    sku = "WRONG" if wrong else skus[unit.line_id]
                    box.append({"line_id": unit.line_id, "sku": sku, "quantity": quantity})
    full = [{"contents": box} for box in boxes if box]
    return full or [{"contents": [{"line_id": state.lines[0].line_id, "sku": "MUG", "quantity": 1}]}]


@st.composite
def messages(draw: st.DrawFn, name: str, state: OrderState, now: datetime) -> dict[str, Any]:
    """A body of the message, with `None` for what is left out."""
    fulfillments = [f.fulfillment_id for f in state.fulfillments]
    parcels = [p.parcel_id for p in state.parcels]
    shipped = [p for p in state.parcels if p.shipped_at is not None]
    fulfillment_id = draw(_one_of(fulfillments))
    who = draw(st.sampled_from((None, None, None, *WHO)))
    body: dict[str, Any] = {"by": who}
    match name:
        case "cancel":
            body |= {"fulfillment_id": draw(_maybe(st.just(fulfillment_id))), "items": draw(_maybe(_items(state)))}
        case "pack":
            body |= {
                "fulfillment_id": fulfillment_id,
                "parcels": draw(_boxes(state, fulfillment_id)),
                "buy_labels": draw(st.booleans()),
            }
        case "ship":
            carrier = draw(_maybe(st.just("local-courier")))
            number = draw(_maybe(st.integers(0, 40).map("T-{}".format))) if carrier else None
            packed = [p.parcel_id for p in state.parcels if p.fulfillment_id == fulfillment_id]
            one = {"parcel_id": draw(_one_of(packed)), "carrier": carrier, "tracking_number": number}
            body |= {"fulfillment_id": fulfillment_id}
            body |= {"parcels": [one]} if draw(st.booleans()) else {"carrier": carrier, "tracking_number": number}
            body |= {"occurred_at": draw(_maybe(st.just(now - timedelta(hours=30))))}
        case "unpack":
            body |= {
                "fulfillment_id": fulfillment_id,
                "parcel_ids": draw(_maybe(st.lists(_one_of(parcels), min_size=1))),
            }
        case "carrier_event":
            body |= {
                "event_id": f"e{draw(st.integers(0, 30))}",
                "parcel_id": draw(_one_of([p.parcel_id for p in shipped] or parcels)),
                "status": draw(st.sampled_from([status.value for status in CarrierStatus])),
                "exception": draw(st.sampled_from((None, "delayed", "damaged", "undeliverable"))),
                "occurred_at": now - timedelta(hours=draw(st.integers(-2, 60))),
                "estimated_delivery": draw(_maybe(st.just(now + timedelta(days=9)))),
            }
        case "confirm_delivery":
            body |= {
                "parcel_id": draw(_maybe(_one_of(parcels))),
                "fulfillment_id": draw(_maybe(st.just(fulfillment_id))),
            }
        case "reject_lines":
            body |= {"fulfillment_id": fulfillment_id, "items": draw(_items(state))}
        case "answer_cancellation":
            body |= {
                "request_id": draw(_one_of([r.request_id for r in state.requests])),
                "answer": draw(st.sampled_from(("accept", "reject"))),
            }
        case "choose_for_shortage":
            choice = draw(st.sampled_from(("substitute", "wait", "refund", "cancel")))
            body |= {
                "line_id": draw(_one_of([s.line_id for s in state.shortages])),
                "choice": choice,
                "substitute_sku": "CUP" if choice == "substitute" else None,
                "wait_until": now + timedelta(hours=12) if choice == "wait" and draw(st.booleans()) else None,
            }
        case "change_address":
            body |= {"ship_to": _plain(address(draw(st.sampled_from(("US", "US", "FR")))))}
        case "update_payment":
            declined = sum(p.amount for p in state.payments if p.status == "declined")
            amount = draw(st.sampled_from((state.unpaid, declined, 1)))
            body |= {"payments": [{"token": "tok_new", "amount": amount}]}
        case "hold":
            body |= {
                "hold_id": draw(st.sampled_from((None, None, "fraud", "hold-2"))),
                "fulfillment_id": draw(_maybe(st.just(fulfillment_id))),
                "expires_at": draw(_maybe(st.just(now + timedelta(hours=36)))),
            }
        case "release_hold":
            body |= {"hold_id": draw(_one_of([hold.hold_id for hold in state.holds]))}
        case "correct_tracking":
            number = f"T-{draw(st.integers(0, 40))}"
            body |= {"parcel_id": draw(_one_of(parcels)), "carrier": "local-courier", "tracking_number": number}
        case "report_issue":
            body |= {
                "kind": draw(st.sampled_from([kind.value for kind in IssueKind])),
                "parcel_id": draw(_maybe(_one_of(parcels))),
                "fulfillment_id": draw(_maybe(st.just(fulfillment_id))),
            }
        case "resolve_issue":
            body |= {
                "issue_id": draw(_one_of([i.issue_id for i in state.issues if i.resolved_at is None])),
                "remedy": draw(st.sampled_from([remedy.value for remedy in Remedy])),
                "items": draw(_maybe(_items(state))),
            }
        case "goodwill_refund":
            body |= {"amount": draw(st.integers(1, 300)), "reason": "sorry"}
        case "resend_mail":
            body |= {"mail_key": f"{state.order_id}:confirmed"}
        case "note":
            body |= {"text": "called the customer"}
        case "network_event":
            body |= {
                "event_id": f"n{draw(st.integers(0, 30))}",
                "fulfillment_id": fulfillment_id,
                "status": draw(st.sampled_from(NETWORK_WORDS)),
                "occurred_at": now,
                "parcels": draw(_maybe(_network_parcels(state))),
            }
        case _:
            raise AssertionError(f"{name} has no strategy")
    return body


NETWORK_WORDS = (
    "Received",
    "Planning",
    "Processing",
    "Cancelled",
    "Complete",
    "CompletePartialled",
    "Unfulfillable",
    "Invalid",
)


def _network_parcels(state: OrderState) -> st.SearchStrategy[list[dict[str, Any]]]:
    lines = [line.line_id for line in state.lines]
    item = st.fixed_dictionaries({"line_id": _one_of(lines), "quantity": st.integers(1, 4)})
    parcel = st.fixed_dictionaries(
        {
            "carrier": st.just("local-courier"),
            "tracking_number": st.integers(0, 40).map("N-{}".format),
            "items": st.lists(item, min_size=1, max_size=2),
        }
    )
    return st.lists(parcel, min_size=1, max_size=2)


def _plain(ship_to: Address) -> dict[str, Any]:
    return ship_to.model_dump(mode="json")
