"""A command for every message to an order and every query, made from the one table of them.

A plain field of a body has a flag: `pack` has `--fulfillment-id`. The others go into `--input`.
"""

import argparse
from typing import Any

from pydantic import BaseModel

from commands.exit_codes import OK
from commands.parsing import Arguments, Command, Commands
from commands.reading import read_input
from commands.servers import open_database, open_orders
from commands.showing import show
from domain.messages import MESSAGES, QUERIES, Message, Query
from domain.results import PackingList
from usecases.errors import InvalidMessage
from usecases.packing import packing_slip
from usecases.settings import BadSettings, load_settings


def add_commands(commands: Commands) -> None:
    for message in MESSAGES:
        command = commands.add(message.name, _message_command(message), message.description)
        _add_message_arguments(command, message)
    for query in QUERIES:
        aliases = ("show",) if query.name == "status" else ()
        command = commands.add(query.name, _query_command(query), query.description, aliases)
        _add_body_arguments(command, query.body)


def _message_command(message: Message) -> Command:
    async def run(arguments: Arguments) -> int:
        body = _body(arguments, message.body)
        async with open_orders(arguments) as orders:
            if message.update and not arguments.signal:
                answer = await orders.update(arguments.order, message.name, body, update_id=arguments.update_id)
                show(arguments, answer)
            else:
                await orders.signal(arguments.order, message.name, body)
                show(arguments, {"sent": message.name}, f"{message.name} was sent; the timeline says what became of it")
        return OK

    return run


def _query_command(query: Query) -> Command:
    async def run(arguments: Arguments) -> int:
        body = _body(arguments, query.body)
        async with open_orders(arguments) as orders:
            answer = await orders.query(arguments.order, query.name, body)
        show(arguments, await _addressed(answer) if isinstance(answer, PackingList) else answer)
        return OK

    return run


async def _addressed(todo: PackingList) -> PackingList:
    """With the address where this machine may ask PostgreSQL, which alone knows it."""
    from store.orders import Orders as OrderStore

    try:
        load_settings()
    except BadSettings:
        return todo
    async with open_database() as database:
        return await packing_slip(todo, OrderStore(database))


def _add_message_arguments(command: argparse.ArgumentParser, message: Message) -> None:
    _add_body_arguments(command, message.body)
    if message.update:
        command.add_argument("--update-id", metavar="ID", help="sent again with the same one, it has no second effect")
    command.set_defaults(signal=not message.update)
    if message.update and message.signal:
        command.add_argument("--signal", action="store_true", help="send it as a signal: no waiting, no answer")


def _add_body_arguments(command: argparse.ArgumentParser, model: type[BaseModel]) -> None:
    command.add_argument("order", metavar="ORDER", help="the order id")
    command.add_argument("--input", metavar="JSON", help="the body as JSON, @file, or - for standard input")
    _add_flags(command, model)


def _add_flags(parser: argparse.ArgumentParser, model: type[BaseModel]) -> None:
    """One for each plain field of the body; what it may hold is left to the model, which names the field."""
    schema = model.model_json_schema()
    for name, field in schema.get("properties", {}).items():
        options = [_resolved(option, schema) for option in field.get("anyOf", [field])]
        kinds = {option.get("type") for option in options} - {"null"}
        words = [str(word) for option in options for word in option.get("enum", [])]
        flag, dest = f"--{name.replace('_', '-')}", f"field_{name}"
        needed = "needed" if name in schema.get("required", []) else None
        if kinds == {"boolean"}:
            parser.add_argument(flag, dest=dest, action=argparse.BooleanOptionalAction, help=needed)
        elif kinds <= {"string", "integer"}:
            kind = _number if kinds == {"integer"} else str
            metavar = "|".join(words) or ("N" if kinds == {"integer"} else "TEXT")
            parser.add_argument(flag, dest=dest, type=kind, metavar=metavar, help=needed)


def _resolved(option: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = option.get("$ref", "").rpartition("/")[2]
    return schema["$defs"][name] if name else option


def _number(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


def _body(arguments: Arguments, model: type[BaseModel]) -> dict[str, Any]:
    """The JSON object of `--input`, with the flags over it."""
    body = {} if arguments.input is None else read_input(arguments.input)
    if not isinstance(body, dict):
        raise InvalidMessage("--input: expected one JSON object")
    flags = {name: getattr(arguments, f"field_{name}") for name in model.model_fields if f"field_{name}" in arguments}
    return body | {name: value for name, value in flags.items() if value is not None}
