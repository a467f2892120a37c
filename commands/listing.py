"""`list`: which orders there are."""

from commands.argument_types import moment, positive
from commands.exit_codes import OK
from commands.parsing import Arguments, Commands
from commands.servers import open_database
from commands.showing import say, show, table


def add_commands(commands: Commands) -> None:
    orders = commands.add("list", _list, "List orders by ship-by date.")
    orders.add_argument("--status", help="such as Unshipped")
    orders.add_argument("--seller", metavar="ID")
    orders.add_argument("--customer", metavar="ID")
    orders.add_argument("--ship-by-before", type=moment, metavar="TIME", help="2026-03-05, or with time and zone")
    orders.add_argument("--attention", metavar="WORD", help="such as late, on_hold, out_of_stock, unpaid")
    orders.add_argument("--open", action="store_true", help="leave out those that have ended")
    orders.add_argument("--limit", type=positive, default=50, metavar="N", help="at most 500 (50)")
    orders.add_argument("--after", metavar="ORDER", help="the last order of the page before")


async def _list(arguments: Arguments) -> int:
    from store.views.orders import OrderFilter, OrderLists

    wanted = OrderFilter(
        status=arguments.status,
        seller=arguments.seller,
        attention=arguments.attention,
        customer_id=arguments.customer,
        ship_by_until=arguments.ship_by_before,
        open_only=arguments.open,
    )
    async with open_database() as database:
        page = await OrderLists(database).orders(wanted, sort="ship_by", after=arguments.after, limit=arguments.limit)
    columns = ("order_id", "status", "attention", "ship_by", "promised_at", "total", "currency", "placed_at")
    rows = [order.model_dump(mode="json", include=set(columns)) for order in page.orders]
    show(arguments, page, table([{name: row[name] for name in columns} for row in rows]) or "no orders")
    if page.next is not None and not arguments.json:
        say(f"there are more: --after {page.next}")
    return OK
