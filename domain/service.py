"""What support and customers may do beside the process: notes, addresses, mails sent again."""

from datetime import datetime

from domain import letters, mails
from domain.effects import ResendMail, SaveAddress
from domain.handoff import label_is_coming
from domain.messages import MESSAGES, AddNote, ChangeAddress
from domain.messages import ResendMail as ResendMailMessage
from domain.order import caused_key, emit, log, post, units_in, units_where
from domain.placing import Channel
from domain.state import OrderState, ParcelStage
from domain.units import BEFORE_HANDOFF, Place


def change_address_refusal(state: OrderState, message: ChangeAddress) -> str | None:
    if message.ship_to.country != state.country:
        return f"ship_to.country: the order was promised for {state.country}; cancel and place anew"
    return change_of_address_refusal(state)


def change_of_address_refusal(state: OrderState) -> str | None:
    """Why no address at all may be given now, or None."""
    waiting = [unit for unit in state.units if unit.spot.place in BEFORE_HANDOFF]
    if not waiting:
        return "everything was handed over or cancelled: the address can no longer change"
    for parcel in state.parcels:
        labelled = parcel.label is not None or label_is_coming(state, parcel.parcel_id)
        if parcel.stage is ParcelStage.SHIPPING or (labelled and parcel.stage is ParcelStage.PACKED):
            return f"{parcel.parcel_id} has a label with the old address: unpack it first"
    for fulfillment in state.fulfillments:
        if (
            fulfillment.channel is Channel.FBA
            and fulfillment.released_to_network
            and any(unit.spot.fulfillment_id == fulfillment.fulfillment_id for unit in waiting)
        ):
            return f"{fulfillment.fulfillment_id} is with the fulfillment network, which has the old address"
    return None


def accept_change_address(state: OrderState, message: ChangeAddress, now: datetime) -> OrderState:
    """The address goes to PostgreSQL; neither the timeline nor a mail repeats it."""
    state = log(state, now, message.by, "address_changed", "Another address was given", why=message.reason)
    state, key = caused_key(state, "address")
    left = tuple(f.fulfillment_id for f in state.fulfillments if not units_in(state, f.fulfillment_id, *BEFORE_HANDOFF))
    state = emit(state, SaveAddress(key=key, ship_to=message.ship_to, left=left))
    gone = units_where(state, lambda u: u.spot.place in (Place.SHIPPED, Place.DELIVERED))
    mail = mails.AddressChangedMail(
        key=f"{key}:mail",
        order_id=state.order_id,
        changed_at=now,
        by=letters.actor(message.by),
        not_affected=letters.mail_lines(state, gone),
    )
    # Whoever has printed the former address already must hear of it; the network has not been asked yet.
    to_sellers = (
        letters.seller_address_changed(state, fulfillment, key)
        for fulfillment in state.fulfillments
        if fulfillment.channel is Channel.FBM and units_in(state, fulfillment.fulfillment_id, *BEFORE_HANDOFF)
    )
    return post(state, mail, *to_sellers)


def accept_resend(state: OrderState, message: ResendMailMessage, now: datetime) -> tuple[OrderState, str]:
    """Gives the key of the effect; whether there is such a mail only the store knows."""
    state, key = caused_key(state, "resend")
    state = log(state, now, message.by, "mail_resent", message.mail_key, why=message.reason)
    return emit(state, ResendMail(key=key, mail_key=message.mail_key)), key


def accept_note(state: OrderState, message: AddNote, now: datetime) -> OrderState:
    return log(state, now, message.by, "note", message.text)


def note_refused(state: OrderState, name: str, by: str, refusal: str, now: datetime) -> OrderState:
    """A signal cannot be answered: its refusal stands in the timeline."""
    return log(state, now, by, f"{name}_refused", _storable(refusal))


def note_unknown_signal(state: OrderState, name: str, now: datetime) -> OrderState:
    known = ", ".join(message.name for message in MESSAGES if message.signal)
    return log(
        state, now, "unknown", "signal_refused", f"there is no signal {_storable(name, 80)!r} (there are: {known})"
    )


def _storable(text: str, length_max: int = 2_000) -> str:
    """Names of fields and signals come from outside, with whatever stands in them."""
    return text[:length_max].replace("\x00", "\N{REPLACEMENT CHARACTER}")
