"""`erase`, `email`, `seal` and `encryption-key`: what is kept of people, and how it is locked."""

import secrets
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from commands.exit_codes import OK, REFUSED
from commands.parsing import Arguments, Commands
from commands.servers import open_database
from commands.showing import show, table
from domain.keyring import KEY_BYTES, KEY_ID, written
from domain.placing import Email
from usecases.errors import InvalidMessage, OrderNotFound
from usecases.temporal import connect


def add_commands(commands: Commands) -> None:
    erase = commands.add(
        "erase", _erase, "Erase the person behind an ended order, a refused start, or all of a customer's, for good."
    )
    erase.add_argument("order", nargs="?", metavar="ORDER", help="the order id")
    erase.add_argument("--customer", metavar="ID", help="all ended orders of this customer")
    erase.add_argument("--again", action="store_true", help="after a restore: all whose key was destroyed since")
    erase.add_argument("--by", default="support", help="who did it, for the timeline; support by default")
    email = commands.add("email", _email, "Correct the mail address of an order's customer, for mails to come.")
    email.add_argument("order", metavar="ORDER", help="the order id")
    email.add_argument("address", metavar="ADDRESS", help="the mail address")
    commands.add(
        "seal", _seal, "Seal what is still in clear of people, and wrap their keys by the current encryption key."
    )
    encryption_key = commands.add("encryption-key", _encryption_key, "Make a key for OPENORDERS_ENCRYPTION_KEYS.")
    encryption_key.add_argument("key_id", nargs="?", metavar="ID", help="its id; the date by default")


async def _erase(arguments: Arguments) -> int:
    from store.erasure import Erasures
    from usecases.erasure import Erasure

    if [arguments.order is not None, arguments.customer is not None, arguments.again].count(True) != 1:
        raise InvalidMessage("give an order, --customer or --again, and one of them")
    async with open_database() as database:
        erasure = Erasure(Erasures(database), await connect())
        if arguments.again:
            rows = [*await erasure.again(arguments.by)]
        elif arguments.order is not None:
            rows = [await erasure.order(arguments.order, arguments.by)]
        else:
            rows = [*await erasure.customer(arguments.customer, arguments.by)]
    shown = [row.model_dump(mode="json") for row in rows]
    show(arguments, shown, table(shown) or "no orders")
    return REFUSED if any(row.outcome == "open" for row in rows) else OK


async def _email(arguments: Arguments) -> int:
    from store.orders import Orders as OrderStore

    try:
        email = TypeAdapter(Email).validate_python(arguments.address)
    except ValidationError:
        raise InvalidMessage(f"address: {arguments.address!r} is no mail address") from None
    async with open_database() as database:
        if not await OrderStore(database).correct_email(arguments.order, email):
            raise OrderNotFound(f"there is no order {arguments.order!r}, or its customer is erased")
    show(arguments, {"order_id": arguments.order}, f"{arguments.order}: mails go to the new address from now on")
    return OK


async def _seal(arguments: Arguments) -> int:
    from store.sealing import Sealing

    async with open_database() as database:
        done = await Sealing(database).seal()
    show(arguments, done, f"{done.contacts} customers' names and addresses sealed, {done.keys} keys wrapped anew")
    return OK


async def _encryption_key(arguments: Arguments) -> int:
    """For OPENORDERS_ENCRYPTION_KEYS; nothing is kept of it."""
    key_id = arguments.key_id or f"{datetime.now(UTC):%Y-%m-%d}"
    if KEY_ID.fullmatch(key_id) is None:
        raise InvalidMessage("key_id: up to 40 letters, digits and . _ -")
    key = written(key_id, secrets.token_bytes(KEY_BYTES))
    show(arguments, {"key": key}, key)
    return OK
