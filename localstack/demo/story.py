"""A story: an order, who does what to it, and how it must end."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from adapters.carriers.simulated import ALL_ON_TIME, CarrierScenarios
from adapters.network.simulated import ALL_COMPLETE, NetworkScenarios
from domain.catalog import Catalog
from domain.placing import TIME_FACTOR_MAX
from localstack.players import Desk, Way, buys_labels
from store.inventory import Inventory

SECONDS_PER_DAY = 24 * 3600 / TIME_FACTOR_MAX


class Scene(NamedTuple):
    """What somebody has at hand who plays a part in a story."""

    desk: Desk
    inventory: Inventory


Part = Callable[[Scene], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Story:
    """What is not said, as `units`, is not checked. `paid` is captured less refunded, in minor units."""

    body: Mapping[str, Any]
    title: str
    end: str
    seller: Way = buys_labels
    others: tuple[Part, ...] = ()
    paid: int | None = None
    units: Mapping[str, int] | None = None
    tells_of: tuple[str, ...] = ()
    """What must stand in the timeline, as a word or as who and word: it was played, and did not just end well."""

    @property
    def order_id(self) -> str:
        return str(self.body["order_id"])

    @property
    def currency(self) -> str:
        return str(self.body["currency"])


@dataclass(frozen=True)
class Programme:
    """All that is played in one performance. `troubles` are orders that could not be made into a story."""

    catalog: Catalog
    stories: tuple[Story, ...]
    seconds_max: float
    carrier: CarrierScenarios = ALL_ON_TIME
    network: NetworkScenarios = ALL_COMPLETE
    notes: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
