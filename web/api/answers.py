"""What the API shows of orders, beside the models of the store."""

from datetime import UTC, datetime, timedelta

from domain.contacts import CustomerContact
from domain.model import Frozen
from domain.results import ActionView, OrderResult, ShortageView, StatusView
from domain.timeline import Entry
from store.views.order import OrderDetail
from store.views.seller_parts import SellerOrder
from usecases.errors import OrderError
from usecases.orders import Orders, Placed

LOOK_PATIENCE = timedelta(seconds=1)
"""How long a reading waits for the order itself; without its answer the last known state is shown."""


class PlacedAnswer(Frozen):
    """`outcome` is `new`, or the same order again, which is running or has ended with `result`."""

    order_id: str
    outcome: str
    result: OrderResult | None = None

    @classmethod
    def of(cls, placed: Placed) -> "PlacedAnswer":
        return cls.model_validate(placed.model_dump())


class Actions(Frozen):
    """What the order would obey now and what it waits for, in its own words."""

    actions: tuple[ActionView, ...] = ()
    waits_for: tuple[str, ...] = ()
    shortages: tuple[ShortageView, ...] = ()
    to_pay: int = 0
    """Minor units for which another payment would be taken now."""

    pay_by: datetime | None = None

    def about(self, message: str) -> tuple[ActionView, ...]:
        """What this message would be obeyed about now; none where it would be refused."""
        return tuple(action for action in self.actions if action.message == message)


class OrderAnswer(OrderDetail):
    """An order whole, as PostgreSQL has it. `now` is None where the order could not be asked: then the rest is the
    last known state, `age_seconds` old.
    """

    customer: CustomerContact | None
    now: Actions | None
    age_seconds: float
    """Since the last change, in real time."""


class SellerAnswer(Frozen):
    """A seller's own part of an order, and nothing else of it."""

    order_id: str
    fulfillments: tuple[SellerOrder, ...]


class TimelineAnswer(Frozen):
    order_id: str
    entries: tuple[Entry, ...]
    next: int | None
    """To be given as `after` for what follows; None where there is no more yet."""


async def look(orders: Orders, order: OrderDetail) -> Actions | None:
    """None where no worker answers: the order stands all the same."""
    if order.order.closed:
        return Actions()
    try:
        status = await orders.query(order.order.order_id, "status", patience=LOOK_PATIENCE)
    except OrderError:
        return None
    assert isinstance(status, StatusView)
    return Actions.model_validate({name: getattr(status, name) for name in Actions.model_fields})


def age_seconds(order: OrderDetail) -> float:
    elapsed = order.clock.elapsed(order.changed_at, datetime.now(UTC))
    return max(0.0, round(elapsed.total_seconds(), 1))
