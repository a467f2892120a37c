"""All settings: `OPENORDERS_*` in the environment, or in the file that `make up` writes for other terminals."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from adapters.carriers.simulated import ALL_ON_TIME, CarrierScenarios
from adapters.network.simulated import ALL_COMPLETE, NetworkScenarios
from domain.keyring import BadKeys, Keyring, keyring, read_keys
from domain.sealing import CUSTOMER_KEYS, Wrapping
from domain.shipping import known_zone

CHECKOUT = Path(__file__).resolve().parent.parent
ENVIRONMENT_FILE = CHECKOUT / ".openorders" / "env"
"""Where `make up` says how its servers are reached; the real environment wins over it."""


class BadSettings(Exception):
    """One sentence for the person who has just typed a command, without any value."""


def _by_psycopg(url: SecretStr) -> SecretStr:
    """`postgres://` and `postgresql://` are what hosting companies give out; SQLAlchemy wants the driver named."""
    scheme, separator, rest = url.get_secret_value().partition("://")
    if not separator or scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise ValueError("must be like postgresql://user:password@host/database")
    return SecretStr(f"postgresql+psycopg://{rest}")


def _readable_keys(text: SecretStr) -> SecretStr:
    read_keys(text.get_secret_value())
    return text


def _none_if_empty(value: Any) -> Any:
    """A compose file passes on what is not set as an empty text."""
    return None if value == "" else value


def _build_id(text: str | None) -> str | None:
    """Compose files hand on an empty variable where none is set."""
    if not text:
        return None
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text) is None:
        raise ValueError("must be letters, digits, '.', '_' or '-', at most 64 of them, such as a commit's id")
    return text


class EncryptionSettings(BaseSettings):
    """What every process must know that reads or writes what passes through Temporal: docs/encryption.md."""

    model_config = SettingsConfigDict(
        env_prefix="OPENORDERS_",
        env_file=ENVIRONMENT_FILE,
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # a mistyped setting may be a password
    )

    encryption_keys: Annotated[
        Annotated[SecretStr, AfterValidator(_readable_keys)] | None, BeforeValidator(_none_if_empty)
    ] = None
    """`2026-11=BASE64,2025-11=BASE64`: the first one encrypts, all decrypt. `starter.py encryption-key` makes one."""

    encryption_keys_file: Annotated[Path | None, BeforeValidator(_none_if_empty)] = None
    """A file with the same, one key a line: for secrets that are mounted."""

    encryption: Literal["read", "write", "require"] = "require"
    """With keys: `read` decrypts and writes in clear, `write` encrypts and takes clear bodies too, `require` refuses
    those. The way from none to all, one step after another in all processes."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.encryption_keys is not None and self.encryption_keys_file is not None:
            raise ValueError("OPENORDERS_ENCRYPTION_KEYS and OPENORDERS_ENCRYPTION_KEYS_FILE: give one of them")
        return self

    def keyring(self, use: str) -> Keyring | None:
        """The keys for one use; None where there are none. Raises `BadSettings` for a file that cannot be read."""
        text = self.encryption_keys.get_secret_value() if self.encryption_keys else None
        if self.encryption_keys_file is not None:
            try:
                text = self.encryption_keys_file.read_text()
            except (OSError, UnicodeDecodeError) as error:
                raise BadSettings(f"OPENORDERS_ENCRYPTION_KEYS_FILE: {type(error).__name__}") from None
        if text is None:
            return None
        try:
            return keyring(read_keys(text), use)
        except BadKeys as error:
            raise BadSettings(f"OPENORDERS_ENCRYPTION_KEYS_FILE: {error}") from None

    def wrapping(self) -> Wrapping:
        """What encrypts the keys that customers' names and addresses are sealed by. Raises `BadSettings`."""
        return Wrapping(self.keyring(CUSTOMER_KEYS), writes=self.encryption != "read")


class Settings(EncryptionSettings):
    """Every field is `OPENORDERS_<FIELD>` in capitals. How Temporal is reached is said by Temporal's own settings."""

    database_url: Annotated[SecretStr, AfterValidator(_by_psycopg)]
    database_pool_size: Annotated[int, Field(ge=1, le=200)] = 20
    """Connections that are kept. Those beyond are made and closed each time, which costs more than many statements."""

    database_pool_overflow: Annotated[int, Field(ge=0, le=200)] = 0

    smtp_host: str = "127.0.0.1"
    smtp_port: Annotated[int, Field(ge=1, le=65_535)] = 1025
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_starttls: bool = False
    smtp_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    mail_connections: Annotated[int, Field(ge=1, le=50)] = 4
    """So many mails are sent side by side, each over a connection of its own."""

    mail_sender: str = "orders@openorders.example"
    mail_domain: str = "openorders.example"
    """The right side of every Message-ID."""

    shop_name: str = "OpenOrders"
    support_email: str | None = None
    """Shown in mails, and where answers to them go."""

    web_address: str = "127.0.0.1:8080"
    """Where `python -m web` listens: host and port."""

    web_url: str | None = None
    """The web pages as customers, sellers and support reach them, such as `https://orders.example.com`: in mails."""

    secret_key: SecretStr | None = None
    """Signs sessions and customers' links: the same for all web processes and workers. Any long random text."""

    temporal_ui_url: str | None = None
    """The Temporal UI as support reaches it: on the pages of orders."""

    time_zone: Annotated[str, AfterValidator(known_zone)] = "UTC"
    """Of the marketplace: the days that insights count."""

    payments: Literal["sandbox"] = "sandbox"
    carrier: Literal["simulated", "manual"] = "simulated"
    network: Literal["simulated"] = "simulated"
    carrier_scenarios: CarrierScenarios = ALL_ON_TIME
    network_scenarios: NetworkScenarios = ALL_COMPLETE
    """Who meets which fate in the simulations, as JSON; see `adapters.simulation.Scenarios`."""

    build_id: Annotated[str | None, AfterValidator(_build_id)] = None
    """Names the code that a worker runs, such as a commit: Temporal then gives orders to the current build alone."""

    cached_orders_max: Annotated[int, Field(ge=10, le=100_000)] = 1_000
    """Open orders that a worker keeps in memory, about 150 KB each; the rest are replayed when needed. Where more
    are worked on at once, the SDK drops some in the middle of a step, and they stand still for ten seconds."""

    workflow_sandbox: bool = False
    """Run orders in the SDK's sandbox, as tests do: it catches what is not deterministic, for a fifth of the CPU."""

    local_slots: Annotated[int, Field(ge=1, le=1_000)] = 100
    party_slots: Annotated[int, Field(ge=1, le=1_000)] = 50
    """Calls at once to each outside party: one that hangs fills only its own."""

    reconcile_minutes: Annotated[float, Field(ge=0, le=1_440)] = 5.0
    """How often what PostgreSQL and Temporal disagree on is looked for and mended; 0: never by itself."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_json: bool = False
    metrics_address: str | None = None
    """Like `127.0.0.1:9464`: where Prometheus may fetch the metrics of the worker's Temporal SDK."""

    health_address: str | None = None
    """Like `127.0.0.1:9465`: `/livez`, `/readyz` and our own `/metrics` of a worker or web. Not for the public."""

    drain_seconds: Annotated[float, Field(ge=0, le=300)] = 0.0
    """How long a web that is told to end says that it is not ready and answers still."""


def load_settings() -> Settings:
    """Raises `BadSettings`, which names the settings and not their values."""
    try:
        return Settings()
    except ValidationError as error:
        raise BadSettings(_wrong(error) + " (`make up` in another terminal sets what is needed)") from None


def encryption_settings(environ: Mapping[str, str] | None, environment_file: Path) -> EncryptionSettings:
    """Just these, for a process that needs no others. Raises `BadSettings`."""
    given: dict[str, Any] = {}
    if environ is not None:
        for name in EncryptionSettings.model_fields:
            value = environ.get(f"OPENORDERS_{name.upper()}")
            if value is not None:
                given[name] = value
    try:
        return EncryptionSettings(_env_file=environment_file, **given)
    except ValidationError as error:
        raise BadSettings(_wrong(error)) from None


def _wrong(error: ValidationError) -> str:
    sentences = []
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        words = one["msg"].removeprefix("Value error, ")
        sentences.append(f"OPENORDERS_{str(one['loc'][0]).upper()}: {words}" if one["loc"] else words)
    return "; ".join(sentences)
