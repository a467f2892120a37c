"""Keys by id for what is stored encrypted: AES-256-GCM, one key current, the others kept for what they once sealed."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12
"""96 bits at random, as NIST SP 800-38D (8.2.2) wants them: at most 2^32 of them under one key."""

KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class BadKeys(ValueError):
    """One sentence about keys that are written wrongly, without any of them."""


class UnknownKey(Exception):
    """Sealed by a key that is not here."""


class Altered(Exception):
    """Not as it was when it was sealed, or not sealed for this."""


class Sealed(NamedTuple):
    key_id: str
    content: bytes
    """Nonce, ciphertext and tag."""


class Keyring:
    """Each use has keys of its own, derived from these: what is sealed for one opens for no other.

    Chance comes in as an argument, as time does: the nonce, which must never be given twice.
    """

    def __init__(self, keys: Mapping[str, bytes], current: str, use: str) -> None:
        self.current = current
        self._ciphers = {key_id: AESGCM(_derived(key, use)) for key_id, key in keys.items()}

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._ciphers)})"

    def seal(self, content: bytes, bound: bytes, nonce: bytes) -> Sealed:
        """By the current key. Only who names the same `bound` can open it."""
        return Sealed(self.current, nonce + self._ciphers[self.current].encrypt(nonce, content, bound))

    def open(self, sealed: Sealed, bound: bytes) -> bytes:
        """Raises `UnknownKey` and `Altered`."""
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            raise UnknownKey(sealed.key_id)
        nonce, rest = sealed.content[:NONCE_BYTES], sealed.content[NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, rest, bound)
        except (InvalidTag, ValueError):  # the second one of a nonce that is too short
            raise Altered from None


def read_keys(text: str) -> dict[str, bytes]:
    """`id=base64` of 32 bytes, by commas or lines, the current one first; `#` begins a comment. Raises `BadKeys`."""
    keys: dict[str, bytes] = {}
    lines = (line.partition("#")[0] for line in text.splitlines())
    for number, entry in enumerate((part.strip() for line in lines for part in line.split(",") if part.strip()), 1):
        key_id, _, encoded = (part.strip() for part in entry.partition("="))
        if not encoded or KEY_ID.fullmatch(key_id) is None:
            # Not repeated: whoever forgot the id has put the key in its place.
            raise BadKeys(f"key {number} must be like 2026-11=BASE64, with an id of letters, digits and . _ -")
        if key_id in keys:
            raise BadKeys(f"key {number} has the id of an earlier one")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise BadKeys(f"key {number} is no base64") from None
        if len(key) != KEY_BYTES:
            raise BadKeys(f"key {number} has {len(key)} bytes instead of {KEY_BYTES}")
        keys[key_id] = key
    if not keys:
        raise BadKeys("there is no key in it")
    return keys


def written(key_id: str, key: bytes) -> str:
    """As `read_keys` reads it."""
    return f"{key_id}={base64.b64encode(key).decode()}"


def keyring(keys: Mapping[str, bytes], use: str) -> Keyring:
    """With the first one as the current one."""
    return Keyring(keys, next(iter(keys)), use)


def _derived(key: bytes, use: str) -> bytes:
    """HKDF (RFC 5869), so that one leaked derived key says nothing of the others."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"openorders {use}".encode()).derive(key)
