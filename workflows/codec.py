"""What passes through Temporal, encrypted: bodies, answers, summaries and, with its failure converter, error texts."""

import os
from collections.abc import Sequence
from typing import Final

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverterWithEncodedAttributes, PayloadCodec, PayloadConverter
from temporalio.exceptions import ApplicationError

from domain.keyring import KEY_ID, NONCE_BYTES, Altered, Keyring, Sealed, UnknownKey

ENCRYPTED: Final = b"binary/encrypted"
CIPHER: Final = b"AES-256-GCM"
KEY: Final = "encryption-key-id"

UNREADABLE: Final = b"openorders/unreadable"
"""The encoding of what could not be opened; its data says why. Such a payload is never sent anywhere."""

UNENCRYPTED: Final = "openorders-unencrypted"
"""In the metadata of what came in clear though it should not."""


class Encryption(PayloadCodec):
    """AES-256-GCM; the payload's metadata names the key, and is bound to the content.

    It never raises: where decoding does, the SDK fails the workflow task, and tries it again for ever. What cannot
    be opened, or was to be encrypted and is not, is marked instead, and refused where it is read.
    """

    def __init__(self, ring: Keyring, *, writes: bool = True, marks_unencrypted: bool = True) -> None:
        """Without `writes` it reads alone: for the time until every process knows the keys."""
        self._ring = ring
        self.writes = writes
        self.marks = marks_unencrypted

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._sealed(payload) for payload in payloads] if self.writes else list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._opened(payload) for payload in payloads]

    def _sealed(self, payload: Payload) -> Payload:
        bound = _bound(self._ring.current)
        sealed = self._ring.seal(payload.SerializeToString(), bound, os.urandom(NONCE_BYTES))
        metadata = {"encoding": ENCRYPTED, "encryption-cipher": CIPHER, KEY: sealed.key_id.encode()}
        return Payload(metadata=metadata, data=sealed.content)

    def _opened(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCRYPTED:
            return _marked(payload) if self.marks else payload
        key_id = payload.metadata.get(KEY, b"").decode(errors="replace")
        if KEY_ID.fullmatch(key_id) is None:
            return unreadable("it is encrypted, and names no key")
        if payload.metadata.get("encryption-cipher") != CIPHER:
            return unreadable(f"it is encrypted by another cipher than {CIPHER.decode()}")
        try:
            return Payload.FromString(self._ring.open(Sealed(key_id, payload.data), _bound(key_id)))
        except UnknownKey:
            return unreadable(f"it is encrypted by the key {key_id!r}, which is not known here")
        except Altered:
            return unreadable(f"it is not as the key {key_id!r} has encrypted it")
        except DecodeError:
            return unreadable(f"what the key {key_id!r} has encrypted is no payload")


class ClearRefusal(ApplicationError):
    """Its text is not encrypted, and so repeats nothing of a body: for a reader who may have no key, and for queries.

    Of a failed query the server passes on the plain text alone; it stands in no history.
    """


class EncryptedFailures(DefaultFailureConverterWithEncodedAttributes):
    """Texts and stacks of errors are encrypted, except a `ClearRefusal`'s."""

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception, ClearRefusal):
            failure.message = exception.message
            failure.ClearField("encoded_attributes")


def _bound(key_id: str) -> bytes:
    """The metadata that goes with the content, in one writing. An id of a key has no line feed."""
    return b"\n".join((ENCRYPTED, CIPHER, key_id.encode()))


def _marked(payload: Payload) -> Payload:
    marked = Payload()
    marked.CopyFrom(payload)
    marked.metadata[UNENCRYPTED] = b"1"
    return marked


def unreadable(why: str) -> Payload:
    return Payload(metadata={"encoding": UNREADABLE}, data=why.encode())
