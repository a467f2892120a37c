"""Keys: made at random, shown once, kept as hashes, revocable at any moment."""

import hashlib
import hmac
import re
import secrets
from typing import Protocol

from domain.access import Caller, FoundKey, Scope
from usecases.errors import Refused

_KEY = re.compile(r"oo_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


class KeyStore(Protocol):
    async def add(self, caller: Caller, secret_hash: str, label: str) -> bool: ...

    async def find(self, key_id: str) -> FoundKey | None: ...


async def new_key(keys: KeyStore, scope: Scope, label: str, seller: str | None = None) -> str:
    """The key itself, which nobody can look up again. Raises `Refused`, naming the field."""
    if (scope is Scope.SELLER) != (seller is not None):
        raise Refused("seller: a seller's key needs one, and no other takes any")
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    secret = secrets.token_urlsafe(32)
    if not await keys.add(Caller(scope=scope, key_id=key_id, seller=seller), _hashed(secret), label):
        raise Refused(f"seller: nobody knows {seller!r}")
    return f"oo_{key_id}_{secret}"


async def caller_of(keys: KeyStore, key: str) -> Caller | None:
    """Whose key it is; None for one that is not there, is revoked, or was typed wrongly."""
    parts = _KEY.fullmatch(key)
    if parts is None:
        return None
    key_id, secret = parts.groups()
    found = await keys.find(key_id)
    # Compared also where there is none, in the same time.
    expected = found.secret_hash if found else _hashed("")
    right = hmac.compare_digest(_hashed(secret), expected)
    return found.caller if found and right else None


def _hashed(secret: str) -> str:
    """256 random bits need no slow hash: nobody can try them all."""
    return hashlib.sha256(secret.encode()).hexdigest()
