"""The way to Temporal, by its own settings: TEMPORAL_ADDRESS, _NAMESPACE, _API_KEY, _PROFILE, or its profile file."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from dotenv import dotenv_values
from temporalio.client import Client, Interceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime

from usecases.errors import Unreachable
from usecases.settings import ENVIRONMENT_FILE, EncryptionSettings, encryption_settings
from workflows.arguments import Converter
from workflows.codec import EncryptedFailures, Encryption

PAYLOADS = "temporal payloads"
"""The use of the keys."""


async def connect(
    *,
    environ: Mapping[str, str] | None = None,
    environment_file: Path = ENVIRONMENT_FILE,
    runtime: Runtime | None = None,
    connect_timeout: timedelta = timedelta(seconds=10),
    lazy: bool = False,
    interceptors: Sequence[Interceptor] = (),
) -> Client:
    """A client for orders. A lazy one connects at its first call, so that a process can start without Temporal.

    Raises `Unreachable` with one line that says where nobody answered, or what is set wrong; `BadSettings` for keys.
    """
    converter = data_converter(encryption_settings(environ, environment_file))
    try:
        config = ClientConfig.load_client_connect_config(
            override_env_vars=temporal_environment(os.environ if environ is None else environ, environment_file)
        )
    except (ValueError, RuntimeError, OSError) as error:
        raise Unreachable(f"Temporal's settings: {first_line(error)}") from None
    address = config.setdefault("target_host", "localhost:7233")
    try:
        return await Client.connect(
            **config,
            data_converter=converter,
            runtime=runtime,
            connect_timeout=connect_timeout,
            lazy=lazy,
            interceptors=interceptors,
        )
    except (RuntimeError, ValueError) as error:  # all that the SDK's core says of a connection
        raise Unreachable(f"Temporal does not answer at {address}: {_cause(error)}") from None


def data_converter(settings: EncryptionSettings) -> DataConverter:
    """What is sent through Temporal as JSON: encrypted, texts of errors too, where there are keys."""
    codec = encryption(settings, marks_unencrypted=settings.encryption == "require")
    if codec is None:
        return pydantic_data_converter
    converter = replace(pydantic_data_converter, payload_converter_class=Converter, payload_codec=codec)
    return replace(converter, failure_converter_class=EncryptedFailures) if codec.writes else converter


def encryption(settings: EncryptionSettings, *, marks_unencrypted: bool) -> Encryption | None:
    """None where there are no keys. Raises `BadSettings`."""
    ring = settings.keyring(PAYLOADS)
    if ring is None:
        return None
    return Encryption(ring, writes=settings.encryption != "read", marks_unencrypted=marks_unencrypted)


def temporal_environment(environ: Mapping[str, str], environment_file: Path) -> dict[str, str]:
    """The environment, with the server of `make up` where it names none.

    All or nothing: the address of one server with the namespace or key of another helps nobody.
    """
    if environ.get("TEMPORAL_ADDRESS") or environ.get("TEMPORAL_PROFILE") or environ.get("TEMPORAL_CONFIG_FILE"):
        return dict(environ)
    from_file = {
        name: value
        for name, value in (dotenv_values(environment_file) if environment_file.is_file() else {}).items()
        if value is not None and name.startswith("TEMPORAL_")
    }
    return {**environ, **from_file}


def _cause(error: Exception) -> str:
    """What went wrong in a few words: the core prints its whole chain of errors in Rust's notation."""
    words = re.findall(r'message: "([^"]+)"', str(error))
    return words[-1] if words else first_line(error)


def first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]
