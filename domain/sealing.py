"""What tells of a person, sealed by a key of the customer's own; and hashes by which it is found again all the same.

Destroying the key makes every copy of what it sealed unreadable, those in backups too.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Mapping
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.contacts import CustomerContact
from domain.keyring import NONCE_BYTES, Altered, Keyring, Sealed, UnknownKey
from domain.model import Frozen
from domain.placing import Address

CUSTOMER_KEYS: Final = "customer keys"
"""The use of the keyring that wraps them."""

ERASED: Final = "erased"
"""Stands where somebody's words stood."""

_WORD = re.compile(r"\w+")


class DataKey(NamedTuple):
    """AES-256-GCM (NIST SP 800-38D), of one customer. `key_id` is no secret."""

    key_id: str
    key: bytes

    def seal(self, content: bytes, bound: str, nonce: bytes) -> bytes:
        """Nonce, ciphertext and tag. Only who names the same `bound` opens it: a row fits no other order."""
        return nonce + AESGCM(self.key).encrypt(nonce, content, bound.encode())

    def open(self, sealed: bytes, bound: str) -> bytes:
        """Raises `Altered`, also for what another key has sealed."""
        try:
            return AESGCM(self.key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound.encode())
        except (InvalidTag, ValueError):
            raise Altered(f"what is kept of the person behind {bound} is not as it was sealed") from None


class Wrapped(NamedTuple):
    content: bytes
    by: str | None
    """The id of the keyring's key that encrypted it; None where nothing did."""


class Wrapping:
    """Encrypts keys by the keyring, where there is one; without, they are kept as they are."""

    def __init__(self, ring: Keyring | None = None, *, writes: bool = True) -> None:
        """Without `writes` it reads alone: for the time until every process knows the keys."""
        self._ring = ring
        self._writes = writes and ring is not None

    @property
    def current(self) -> str | None:
        """The id of the key that encrypts now."""
        return self._ring.current if self._ring is not None and self._writes else None

    def wrap(self, key: bytes, bound: str, nonce: bytes) -> Wrapped:
        if self._ring is None or not self._writes:
            return Wrapped(key, None)
        sealed = self._ring.seal(key, bound.encode(), nonce)
        return Wrapped(sealed.content, sealed.key_id)

    def unwrap(self, wrapped: Wrapped, bound: str) -> bytes:
        """Raises `UnknownKey` and `Altered`."""
        if wrapped.by is None:
            return wrapped.content
        if self._ring is None:
            raise UnknownKey(wrapped.by)
        return self._ring.open(Sealed(wrapped.by, wrapped.content), bound.encode())


class Person(Frozen):
    """What is sealed of an order's customer."""

    name: str
    email: str
    address: Address
    earlier_addresses: Mapping[str, Address] = {}
    """By fulfillment, for those that had left before the address was changed."""

    def contact(self, time_zone: str) -> CustomerContact:
        return CustomerContact(time_zone=time_zone, **dict(self))

    def hashes(self, search_key: bytes) -> list[int]:
        """By which the order is found."""
        return [*name_hashes(search_key, self.name), mail_hash(search_key, self.email)]


def clear_part(address: Address) -> dict[str, str]:
    """Of an address, what taxes, promises and insights read; neither tells of a person."""
    return {"country": address.country, "region": address.region}


def erased_person(country: str, region: str) -> Person:
    address = Address(name=ERASED, line1=ERASED, city=ERASED, region=region, country=country)
    return Person(name=ERASED, email="", address=address)


# -- blind indexes -----------------------------------------------------------------


def words_of(name: str) -> tuple[str, ...]:
    """A name as people search for it: its words, without case and accents, each once."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    kept = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return tuple(dict.fromkeys(_WORD.findall(kept)))


def name_hashes(search_key: bytes, name: str) -> list[int]:
    """One for each word. They tell nothing without the key; who has it can try out names."""
    return [_blind(search_key, "name", word) for word in words_of(name)]


def mail_hash(search_key: bytes, email: str) -> int:
    return _blind(search_key, "mail", email.strip().casefold())


def _blind(search_key: bytes, kind: str, text: str) -> int:
    """The first 64 bits of HMAC-SHA256, signed as PostgreSQL's bigint is; two of a million names meet by chance once
    in some ten million marketplaces."""
    digest = hmac.digest(search_key, f"{kind}\n{text}".encode(), hashlib.sha256)
    return int.from_bytes(digest[:8], "big", signed=True)
