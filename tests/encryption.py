"""Clients with keys, for tests of what passes through Temporal encrypted."""

from copy import copy
from typing import Literal

from pydantic import SecretStr
from temporalio.client import Client
from temporalio.converter import DataConverter

from domain.keyring import written
from localstack.stack import Stack
from tests.shop import PatientOrders, Shop
from usecases.settings import EncryptionSettings
from usecases.temporal import data_converter

OLD = written("old", b"o" * 32)
NEW = written("new", b"n" * 32)
OTHER = written("other", b"x" * 32)

Mode = Literal["read", "write", "require"]


def converter(*keys: str, mode: Mode = "require") -> DataConverter:
    given = SecretStr(",".join(keys)) if keys else None
    return data_converter(EncryptionSettings(encryption_keys=given, encryption=mode))


async def client_with(stack: Stack, *keys: str, mode: Mode = "require") -> Client:
    return await Client.connect(stack.temporal.address, data_converter=converter(*keys, mode=mode))


def through(shop: Shop, client: Client) -> Shop:
    """The same shop by a client that encrypts otherwise, or not at all."""
    other = copy(shop)
    other.client, other.orders = client, PatientOrders(client, task_queue=shop.task_queue)
    return other
