"""`key`: keys to the API and the pages."""

import sys

from commands.exit_codes import OK
from commands.parsing import Arguments, Commands
from commands.servers import open_database
from commands.showing import show, table
from domain.access import Scope
from usecases.errors import Refused
from usecases.keys import new_key


def add_commands(commands: Commands) -> None:
    keys = commands.group("key", "Make, list or revoke keys to the API and the pages.")
    create = keys.add("create", _key_create, "Make a key; it is shown once.")
    create.add_argument("scope", choices=[scope.value for scope in Scope])
    create.add_argument("--seller", metavar="ID", help="whose, for a seller's key")
    create.add_argument("--label", default="", help="for whom it is, for lists")
    keys.add("list", _key_list, "List keys, revoked ones too.")
    revoke = keys.add("revoke", _key_revoke, "From the next request on it opens nothing.")
    revoke.add_argument("key_id", help="the part of a key between its underscores")


async def _key_create(arguments: Arguments) -> int:
    from store.keys import Keys

    async with open_database() as database:
        key = await new_key(Keys(database), Scope(arguments.scope), arguments.label, arguments.seller)
    print("It is shown this once; what is kept is a hash.", file=sys.stderr)
    show(arguments, {"key": key}, key)
    return OK


async def _key_list(arguments: Arguments) -> int:
    from store.keys import Keys

    async with open_database() as database:
        rows = [row.model_dump(mode="json") for row in await Keys(database).all()]
    show(arguments, rows, table(rows) or "no keys")
    return OK


async def _key_revoke(arguments: Arguments) -> int:
    from store.keys import Keys

    async with open_database() as database:
        if not await Keys(database).revoke(arguments.key_id):
            raise Refused(f"key_id: no key {arguments.key_id!r} is in use")
    show(arguments, {"revoked": arguments.key_id}, f"{arguments.key_id}: revoked, from the next request on")
    return OK
