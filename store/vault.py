"""Opens and seals what is kept of people, by keys that lie in rows of their own."""

import os
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.keyring import KEY_BYTES, NONCE_BYTES, UnknownKey
from domain.placing import Address
from domain.requests import Unavailable
from domain.sealing import DataKey, Person, Wrapped, Wrapping, clear_part, erased_person
from store.tables.orders import order_contacts
from store.tables.people import customer_keys, search_key

CONTACT = (
    *(order_contacts.c[name] for name in ("name", "email", "time_zone", "address", "earlier_addresses", "sealed")),
    *(order_contacts.c.key_id.label("sealed_by"), customer_keys.c.wrapped, customer_keys.c.wrapped_by),
    customer_keys.c.destroyed_at,
)
"""What `Vault.person` reads of an order, by `JOINED`."""

KEY_OF_CONTACT = customer_keys.c.key_id == order_contacts.c.key_id
JOINED = order_contacts.outerjoin(customer_keys, KEY_OF_CONTACT)

_SEARCH_KEY = "search"
"""What it is bound to when it is wrapped; a customer's is to its own id, which is longer."""


class NewKey(NamedTuple):
    """A customer's key that is to be kept, and how it is."""

    key: DataKey
    wrapped: Wrapped


class Vault:
    """Of one database; its way to the keyring is `wrapping`."""

    def __init__(self, wrapping: Wrapping) -> None:
        self.wrapping = wrapping
        self._search_key: bytes | None = None

    def new_key(self) -> NewKey:
        key = DataKey(str(uuid4()), os.urandom(KEY_BYTES))
        return NewKey(key, self.wrapping.wrap(key.key, key.key_id, os.urandom(NONCE_BYTES)))

    def key(self, key_id: str, wrapped: bytes, wrapped_by: str | None) -> DataKey:
        """Raises `Unavailable` where the key that it is wrapped by is not here: whoever has it can go on."""
        return DataKey(key_id, self._unwrapped(wrapped, wrapped_by, key_id))

    def person(self, order_id: str, row: Row[Any]) -> Person:
        """From a row with `CONTACT`; one whose key was destroyed is as one that was erased.

        Raises `Unavailable` where the key cannot be had here, and `Altered`.
        """
        if row.sealed is None:
            return _in_clear(row)
        if row.destroyed_at is not None:
            return erased_person(row.address["country"], row.address.get("region", ""))
        if row.wrapped is None:
            raise Unavailable(f"the key {row.sealed_by} is not in customer_keys: is its newest backup restored?")
        opened = self.key(row.sealed_by, row.wrapped, row.wrapped_by).open(row.sealed, order_id)
        return Person.model_validate_json(opened)

    async def search_key(self, connection: AsyncConnection) -> bytes:
        """What hashes of names are made by; read once."""
        if self._search_key is None:
            row = (await connection.execute(select(search_key.c.wrapped, search_key.c.wrapped_by))).one_or_none()
            return self.read_search_key(*(row or (None, None)))
        return self._search_key

    def read_search_key(self, wrapped: bytes | None, wrapped_by: str | None) -> bytes:
        """From its row. Raises `Unavailable` where there is none, or its key is not here."""
        if self._search_key is None:
            if wrapped is None:
                raise Unavailable("search_key is empty: is the newest backup of the keys restored?")
            self._search_key = self._unwrapped(wrapped, wrapped_by, _SEARCH_KEY)
        return self._search_key

    async def hashes(self, connection: AsyncConnection, person: Person) -> list[int]:
        """By which an order is found."""
        return person.hashes(await self.search_key(connection))

    def rewrap(self, wrapped: bytes, wrapped_by: str | None, bound: str | None) -> Wrapped:
        """By the current key. `bound` is the id of a customer's key, None for the search's."""
        bound = bound or _SEARCH_KEY
        return self.wrapping.wrap(self._unwrapped(wrapped, wrapped_by, bound), bound, os.urandom(NONCE_BYTES))

    def _unwrapped(self, wrapped: bytes, wrapped_by: str | None, bound: str) -> bytes:
        try:
            return self.wrapping.unwrap(Wrapped(bytes(wrapped), wrapped_by), bound)
        except UnknownKey:
            raise Unavailable(
                f"keys are wrapped by the encryption key {wrapped_by!r}, which is not known here"
            ) from None


def sealed_values(key: DataKey, order_id: str, person: Person) -> dict[str, Any]:
    """The columns of an order's contact that tell of the person, or of whom nothing is left in clear."""
    content = person.model_dump_json(exclude_defaults=True).encode()
    return {
        "name": None,
        "email": None,
        "address": clear_part(person.address),
        "earlier_addresses": {},
        "sealed": key.seal(content, order_id, os.urandom(NONCE_BYTES)),
        "key_id": key.key_id,
    }


def clear_values(person: Person) -> dict[str, Any]:
    """The same columns, for a row that is not sealed yet."""
    return {
        "address": person.address.model_dump(mode="json"),
        "earlier_addresses": {part: one.model_dump(mode="json") for part, one in person.earlier_addresses.items()},
    }


def in_json(content: bytes | None) -> str | None:
    """As PostgreSQL reads a bytea from a text."""
    return None if content is None else f"\\x{content.hex()}"


def _in_clear(row: Row[Any]) -> Person:
    return Person(
        name=row.name,
        email=row.email,
        address=Address.model_validate(row.address),
        earlier_addresses={part: Address.model_validate(one) for part, one in row.earlier_addresses.items()},
    )
