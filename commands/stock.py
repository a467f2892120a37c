"""`stock`: what lies where, and how it came there."""

from typing import TypeVar

from pydantic import BaseModel

from commands.argument_types import positive
from commands.exit_codes import OK
from commands.parsing import Arguments, Commands
from commands.reading import read_json
from commands.servers import open_database
from commands.showing import show, table
from domain.catalog import Catalog, Correction, Receipt, StockLevel, StockRefused
from domain.decoding import Refusal, decode
from usecases.errors import InvalidMessage, Refused
from usecases.orders import decoded

_Model = TypeVar("_Model", bound=BaseModel)

_CATALOG_BYTES_MAX = 200_000_000
"""All that a catalog may hold (`values_max`) fits, with room to spare."""


def add_commands(commands: Commands) -> None:
    stock = commands.group("stock", "Load, receive, correct or show stock.")
    load = stock.add("load", _stock_load, "Load sellers, locations, listings and opening stock (schemas/catalog.json).")
    load.add_argument("file", help="JSON, or - for standard input")
    receive = stock.add("receive", _stock_receive, "Units have come in; backorders that wait for them are served.")
    receive.add_argument("--quantity", type=positive, required=True, metavar="N")
    correct = stock.add("correct", _stock_correct, "Units were found or missed at a count.")
    correct.add_argument("--change", type=int, required=True, metavar="N", help="such as 3 or -2")
    correct.add_argument("--reason", default="counted")
    for command in (receive, correct):
        for name in ("location", "seller", "sku"):
            command.add_argument(f"--{name}", required=True, metavar="ID")
        command.add_argument("--key", required=True, metavar="ID", help="of the delivery or count: twice counts once")
    levels = stock.add("show", _stock_show, "What lies where, how much of it is reserved, and who waits.")
    for name in ("location", "seller", "sku"):
        levels.add_argument(f"--{name}", metavar="ID")


async def put_into_stock(catalog: Catalog) -> None:
    """Raises `Refused`."""
    from store.inventory import Inventory

    async with open_database() as database:
        _raise_if_refused(await Inventory(database).load(catalog))


async def _stock_load(arguments: Arguments) -> int:
    catalog = decode(Catalog, (read_json(arguments.file, InvalidMessage, _CATALOG_BYTES_MAX),))
    if isinstance(catalog, Refusal):
        raise InvalidMessage(catalog.reason)
    await put_into_stock(catalog)
    counts = {name: len(getattr(catalog, name)) for name in ("sellers", "locations", "listings", "stock")}
    show(arguments, counts, ", ".join(f"{count} {name}" for name, count in counts.items()))
    return OK


async def _stock_receive(arguments: Arguments) -> int:
    from store.inventory import Inventory

    async with open_database() as database:
        level = await Inventory(database).receive(_told(Receipt, arguments))
    return _show_level(arguments, level)


async def _stock_correct(arguments: Arguments) -> int:
    from store.inventory import Inventory

    async with open_database() as database:
        level = await Inventory(database).correct(_told(Correction, arguments))
    return _show_level(arguments, level)


def _told(model: type[_Model], arguments: Arguments) -> _Model:
    return decoded(model, {name: getattr(arguments, name) for name in model.model_fields}, InvalidMessage)


def _show_level(arguments: Arguments, level: StockLevel | StockRefused) -> int:
    _raise_if_refused(level)
    show(arguments, level)
    return OK


def _raise_if_refused(answer: StockLevel | StockRefused | None) -> None:
    if isinstance(answer, StockRefused):
        raise Refused(answer.reason)


async def _stock_show(arguments: Arguments) -> int:
    from store.views.stock import StockViews

    async with open_database() as database:
        views, found, after = StockViews(database), [], None
        while True:
            page = await views.levels(
                seller=arguments.seller, location=arguments.location, sku=arguments.sku, after=after
            )
            found += [row.model_dump(mode="json") for row in page.levels]
            if (after := page.next) is None:
                break
    for row in found:
        row["available"] = row["on_hand"] - row["reserved"]
    columns = ("location", "seller", "sku", "title", "on_hand", "reserved", "available", "waiting")
    show(arguments, found, table([{name: row[name] for name in columns} for row in found]) or "no stock")
    return OK
