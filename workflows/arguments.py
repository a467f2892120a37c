"""How the worker reads what orders are sent: a payload that nobody can read becomes one that can be refused."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.worker import (
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from domain.decoding import Unencrypted, Unreadable
from workflows.codec import UNENCRYPTED, UNREADABLE, Encryption


class UnreadablePayload(Exception):
    """Says why, without any of it."""


class Converter(PydanticPayloadConverter):
    """`pydantic_data_converter`'s, which says why where a payload could not be decrypted."""

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        for payload in payloads:
            if payload.metadata.get("encoding") == UNREADABLE:
                raise UnreadablePayload(payload.data.decode(errors="replace"))
        return super().from_payloads(payloads, type_hints)


class ArgumentConverter(Converter):
    """The SDK retries a start that it cannot decode for ever, and drops such a signal.

    Only what has no type is read this way: the bodies from outside. The answers of activities have
    one, and what is wrong with those must suspend the order until it is mended.
    """

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        if type_hints is not None:
            return super().from_payloads(payloads, type_hints)
        return [self._read(payload) for payload in payloads]

    def _read(self, payload: Payload) -> Any:
        if payload.metadata.get("encoding") == UNREADABLE:
            return Unreadable(payload.data.decode(errors="replace"))
        try:
            body = super().from_payloads([payload])[0]
        except Exception:  # broken JSON, an unknown encoding or protobuf type: each raises its own
            body = Unreadable()
        return Unencrypted(body) if UNENCRYPTED in payload.metadata else body


ARGUMENTS = replace(pydantic_data_converter, payload_converter_class=ArgumentConverter)
"""For workers without encryption; what it writes is what `pydantic_data_converter` writes."""


class _EmptyBodyCountsAsClear(WorkflowInboundInterceptor):
    async def handle_signal(self, input: HandleSignalInput) -> None:
        input.args = _as_in_clear(input.args)
        await super().handle_signal(input)

    def handle_update_validator(self, input: HandleUpdateInput) -> None:
        input.args = _as_in_clear(input.args)
        super().handle_update_validator(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
        input.args = _as_in_clear(input.args)
        return await super().handle_update_handler(input)


def _as_in_clear(arguments: Sequence[Any]) -> Sequence[Any]:
    return arguments or [Unencrypted(None)]


class EmptyBodyCountsAsClear(ClientInterceptor, Interceptor):
    """Where only encrypted messages are taken, one without any body shows no key: it is read as one in clear."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        return _EmptyBodyCountsAsClear


def reading_anything(client: Client) -> Client:
    """The same client, for a worker: with its encryption, where it has one."""
    config = client.config()
    codec = config["data_converter"].payload_codec
    if isinstance(codec, Encryption) and codec.marks:
        config["interceptors"] = [*config["interceptors"], EmptyBodyCountsAsClear()]
    config["data_converter"] = replace(config["data_converter"], payload_converter_class=ArgumentConverter)
    return Client(**config)
