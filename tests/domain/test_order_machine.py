"""Any message at any time, effects that end in any order: what an order must never do, it never does."""

import os
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain import obedience
from domain.deadlines import apply_due, next_deadline
from domain.decoding import Refusal, decode
from domain.effects import Effect
from domain.order import answered, the_fulfillment
from domain.placing import PlaceOrder
from domain.readiness import is_ready
from domain.state import Phase, Substitute
from domain.status import is_at_rest
from domain.views import status_view
from tests.domain.building import BODIES, Answer, Luck, Shelf, Story, World, plain
from tests.domain.identities import check_all
from tests.domain.strategies import NETWORK_WORDS, SELLERS, lucks, messages, orders, shelves

RARE = {"cancel", "hold", "change_address", "goodwill_refund", "resend_mail", "note", "reject_lines", "unpack"}
"""Messages that may come at any time, but not at every step."""

NAMES = sorted(set(BODIES) - {"stock_allocated"})


class OrderMachine(RuleBasedStateMachine):
    """An order, the world around it, and effects that are under way for as long as they like."""

    told: Story

    @initialize(order=orders(), stock=shelves(), on_offer=st.booleans(), opened=st.booleans())
    def place(self, order: PlaceOrder, stock: list[Shelf], on_offer: bool, opened: bool) -> None:
        cups = [Shelf(f"{seller}-north", seller, "CUP", 3) for seller in SELLERS]
        world = World([*stock, *cups])
        if on_offer:
            cup = Substitute(sku="CUP", title="A CUP", unit_price=500)
            world.substitutes = {"MUG": (cup,), "TEE": (cup,)}
        self.told = Story(order, world)
        self.told.tick = timedelta(milliseconds=1)
        self.running: dict[str, tuple[Effect, Answer]] = {}
        if opened:
            self.told.settle()

    # -- effects

    def _ready(self) -> list[Effect]:
        state = self.told.state
        return [e for e in state.effects if e.key not in self.running and is_ready(state, e)]

    @precondition(lambda self: self._ready())
    @rule(data=st.data(), luck=lucks())
    def start(self, data: st.DataObject, luck: Luck) -> None:
        self.told.world.luck = luck
        effect = data.draw(st.sampled_from(self._ready()))
        self.running[effect.key] = (effect, self.told.world.perform(self.told.state, effect))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        self._end(data.draw(st.sampled_from(sorted(self.running))))

    def _end(self, key: str) -> None:
        self.told.now += self.told.tick  # an answer comes later than its question
        effect, answer = self.running.pop(key)
        self.told.state = answered(self.told.state, effect.key, answer, self.told.now)

    @rule(luck=lucks())
    def all_is_done(self, luck: Luck) -> None:
        """Everything under way ends, and what follows from it too."""
        self.told.world.luck = luck
        while self.running:
            self._end(next(iter(self.running)))
        self.told.settle()

    # -- messages

    @rule(data=st.data(), name=st.sampled_from(NAMES))
    def anybody_says_anything(self, data: st.DataObject, name: str) -> None:
        self._tell(data, name)

    @rule(data=st.data(), well=st.booleans())
    def somebody_answers(self, data: st.DataObject, well: bool) -> None:
        """A message that the order waits for, or at least expects."""
        now = self.told.now
        expected = sorted({action.message for action in status_view(self.told.state, now).actions} - RARE)
        if expected:
            self._tell(data, data.draw(st.sampled_from(expected)))
        if well:
            self.all_is_done(Luck())

    @precondition(lambda self: self._at_network())
    @rule(data=st.data(), short=st.booleans())
    def network_ships(self, data: st.DataObject, short: bool) -> None:
        """What it was asked for, in one parcel, or one unit less of everything."""
        fulfillment_id = data.draw(st.sampled_from(self._at_network()))
        job = self.told.world.jobs[fulfillment_id]
        items = [{"line_id": line_id, "quantity": n - short} for line_id, n in job.items.items() if n > short]
        parcel = {"carrier": "local-courier", "tracking_number": f"FBA-{fulfillment_id}", "items": items}
        job.status = "CompletePartialled" if short else "Complete"
        body = {
            "event_id": f"ships-{fulfillment_id}",
            "fulfillment_id": fulfillment_id,
            "status": job.status,
            "occurred_at": self.told.now,
            "parcels": [parcel] if items else [],
        }
        if self.told.refusal("network_event", **body) is None:
            self.told.send("network_event", **body)

    def _at_network(self) -> list[str]:
        return [name for name, job in self.told.world.jobs.items() if job.status in NETWORK_WORDS[:3]]

    def _tell(self, data: st.DataObject, name: str) -> None:
        told = self.told
        body = data.draw(messages(name, told.state, told.now))
        message = decode(BODIES[name], (plain(body),))
        if isinstance(message, Refusal):
            return
        if obedience.refusal(told.state, name, message, told.now) is None:
            told.state, _ = told.obey(name, message)
            self._keep_up_with_network(name, message)

    def _keep_up_with_network(self, name: str, message: Any) -> None:
        """What the network says of its own order is so, whatever the test made of it."""
        if name != "network_event" or message.fulfillment_id not in self.told.world.jobs:
            return
        fulfillment = the_fulfillment(self.told.state, message.fulfillment_id)
        self.told.world.jobs[message.fulfillment_id].status = fulfillment.network_status or ""

    @precondition(lambda self: self.told.world.messages)
    @rule(data=st.data())
    def store_tells(self, data: st.DataObject) -> None:
        self.told.take_message(data.draw(st.integers(0, len(self.told.world.messages) - 1)))

    @rule(data=st.data(), quantity=st.integers(1, 5))
    def stock_comes_in(self, data: st.DataObject, quantity: int) -> None:
        shelf = data.draw(st.sampled_from(self.told.world.shelves))
        self.told.world.receive(shelf.location, shelf.seller, shelf.sku, quantity)

    # -- time

    @rule(hours=st.sampled_from((0.0, 1.0, 1.0, 5.0, 5.0, 24.0, 24.0 * 8)))
    def time_passes(self, hours: float) -> None:
        self.told.now += timedelta(hours=hours)
        self.told.state = apply_due(self.told.state, self.told.now)

    @precondition(lambda self: next_deadline(self.told.state) is not None)
    @rule()
    def next_deadline_comes(self) -> None:
        deadline = next_deadline(self.told.state)
        assert deadline is not None
        self.told.now = max(self.told.now, deadline.at)
        self.told.state = apply_due(self.told.state, self.told.now)

    # -- what must hold

    @invariant()
    def all_is_well(self) -> None:
        if hasattr(self, "told"):
            check_all(self.told)

    def teardown(self) -> None:
        """Left to itself, with the network's last word and no hold, every order comes to its end."""
        if not hasattr(self, "told"):
            return
        told = self.told
        self.all_is_done(Luck())
        for _ in range(60):
            if is_at_rest(told.state):
                break
            for hold in told.state.holds:
                told.send("release_hold", hold_id=hold.hold_id)
            for fulfillment in told.state.fulfillments:
                if fulfillment.released_to_network and fulfillment.network_status in NETWORK_WORDS[:3]:
                    told.network_says("Unfulfillable", fulfillment_id=fulfillment.fulfillment_id)
            told.later(days=30)
            self._help_along()
        assert is_at_rest(told.state), "the order never ends"
        told.close()
        assert told.state.phase is Phase.CLOSED
        check_all(told)

    def _help_along(self) -> None:
        """Where policy lets people wait for ever, they do something in the end."""
        told = self.told
        policy = told.state.policy
        if policy.late_cancel_days is None and told.refusal("cancel", by="support") is None:
            told.send("cancel", by="support")
        if policy.late_cancel_days is None or policy.cancellation_default == "reject":
            for request in told.state.requests:
                if request.answer_by is not None:
                    told.send("answer_cancellation", request_id=request.request_id, answer="accept")
        if policy.lost_after_days is None and told.refusal("confirm_delivery") is None:
            told.send("confirm_delivery")
        told.settle()


profile = os.environ.get("HYPOTHESIS_PROFILE", "quick")
EXAMPLES = {"quick": 60, "thorough": 3_000}[profile]

TestOrderMachine = OrderMachine.TestCase
TestOrderMachine.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    suppress_health_check=list(HealthCheck),
)
