"""The memory of the simulated payment provider and fulfillment network: what a real one keeps on its own side."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Integer,
    Row,
    Table,
    Text,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.requests import ProviderOutcome
from domain.sandbox import (
    SandboxAuthorization,
    SandboxCall,
    SandboxMovement,
    SandboxNetworkOrder,
    SandboxRecord,
    SandboxStep,
    SandboxTotals,
)
from store.database import Database
from store.metadata import metadata

sandbox_authorizations = Table(
    "sandbox_authorizations",
    metadata,
    Column("reference", Text, primary_key=True),
    Column("token", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("authorized", BigInteger, nullable=False),
    Column("captured", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False),
    Column("voided", BigInteger, nullable=False),
    CheckConstraint("authorized >= 0 AND captured >= 0 AND refunded >= 0 AND voided >= 0", name="not_negative"),
    CheckConstraint("captured + voided <= authorized", name="captured_within_authorized"),
    CheckConstraint("refunded <= captured", name="refunded_within_captured"),
)

sandbox_payment_calls = Table(
    "sandbox_payment_calls",
    metadata,
    Column("key", Text, primary_key=True),
    Column("seq", BigInteger, Identity(always=True), unique=True, nullable=False),
    Column("first", JSONB, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("outcome", JSONB(none_as_null=True)),
    Column("reference", Text),
    Column("currency", Text),
    Column("answered_at", DateTime(timezone=True)),
)

sandbox_network_orders = Table(
    "sandbox_network_orders",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("fulfillment_id", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("asked_at", DateTime(timezone=True), nullable=False),
    Column("cancelled", Boolean, nullable=False),
)

_calls = sandbox_payment_calls.c
_network = sandbox_network_orders.c


class PaymentSandboxBook:
    """Satisfies `adapters.payments.sandbox.PaymentBook`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def perform(
        self, call: SandboxCall, rule: Callable[[SandboxRecord, SandboxAuthorization | None], SandboxStep]
    ) -> SandboxRecord:
        async with self._database.transaction() as connection:
            record = await _call_again(connection, call)
            authorization = await _locked_authorization(connection, call.reference)
            # Asked also where the answer is known: the caller learns the card from it.
            step = rule(record, authorization)
            if record.outcome is not None or step.outcome is None:
                return record
            if step.authorization is not None:
                await _keep(connection, step.authorization)
            await connection.execute(
                update(sandbox_payment_calls)
                .where(_calls.key == call.key)
                .values(
                    outcome=step.outcome.model_dump(mode="json"),
                    reference=call.reference or step.outcome.reference,
                    currency=step.authorization.currency if step.authorization else call.currency,
                    answered_at=func.clock_timestamp(),
                )
            )
            return record.model_copy(update={"outcome": step.outcome})

    async def movements(self, key_prefix: str = "") -> tuple[SandboxMovement, ...]:
        """The statement: every call that has its answer, in the order of their first tries."""
        query = (
            select(sandbox_payment_calls)
            .where(_calls.outcome.is_not(None), _calls.key.startswith(key_prefix, autoescape=True))
            .order_by(_calls.seq)
        )
        async with self._database.statement() as connection:
            return tuple(_movement(row) for row in await connection.execute(query))

    async def authorizations(self, key_prefix: str = "") -> tuple[SandboxAuthorization, ...]:
        """The authorizations given to calls whose key starts so, in the order of those calls."""
        query = (
            select(sandbox_authorizations)
            .join(sandbox_payment_calls, _calls.reference == sandbox_authorizations.c.reference)
            .where(_calls.first["kind"].astext == "authorize", _calls.key.startswith(key_prefix, autoescape=True))
            .order_by(_calls.seq)
        )
        async with self._database.statement() as connection:
            rows = await connection.execute(query)
            return tuple(SandboxAuthorization.model_validate(dict(row._mapping)) for row in rows)

    async def totals(self) -> tuple[SandboxTotals, ...]:
        columns = sandbox_authorizations.c
        sums = [func.sum(columns[name]).label(name) for name in ("authorized", "captured", "refunded", "voided")]
        query = select(columns.currency, *sums).group_by(columns.currency).order_by(columns.currency)
        async with self._database.statement() as connection:
            rows = await connection.execute(query)
            return tuple(SandboxTotals.model_validate(dict(row._mapping)) for row in rows)


class NetworkSandboxBook:
    """Satisfies `adapters.network.simulated.NetworkBook`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receive(self, order: SandboxNetworkOrder) -> SandboxNetworkOrder:
        """Keep the order unless one with its id is there; gives the one that is kept."""
        async with self._database.transaction() as connection:
            await connection.execute(insert(sandbox_network_orders).values(order.model_dump()).on_conflict_do_nothing())
            kept = await _network_order(connection, order.order_id, order.fulfillment_id)
        assert kept is not None
        return kept

    async def find(self, order_id: str, fulfillment_id: str) -> SandboxNetworkOrder | None:
        async with self._database.statement() as connection:
            return await _network_order(connection, order_id, fulfillment_id)

    async def cancel(
        self, order_id: str, fulfillment_id: str, may_cancel: Callable[[SandboxNetworkOrder], bool]
    ) -> bool:
        """Ask with the row locked, and mark it; an order that is cancelled stays so."""
        async with self._database.transaction() as connection:
            order = await _network_order(connection, order_id, fulfillment_id, lock=True)
            if order is None or not (order.cancelled or may_cancel(order)):
                return False
            await connection.execute(
                update(sandbox_network_orders)
                .where(_network.order_id == order_id, _network.fulfillment_id == fulfillment_id)
                .values(cancelled=True)
            )
            return True


async def _call_again(connection: AsyncConnection, call: SandboxCall) -> SandboxRecord:
    """Count this try, as the first one or a later one; holds the key's row until the transaction ends."""
    counted = (
        insert(sandbox_payment_calls)
        .values(key=call.key, first=call.model_dump(mode="json"), attempts=1)
        .on_conflict_do_update(index_elements=[_calls.key], set_={"attempts": _calls.attempts + 1})
        .returning(_calls.first, _calls.attempts, _calls.outcome)
    )
    row = (await connection.execute(counted)).one()
    return SandboxRecord.model_validate(dict(row._mapping))


async def _locked_authorization(connection: AsyncConnection, reference: str) -> SandboxAuthorization | None:
    query = select(sandbox_authorizations).where(sandbox_authorizations.c.reference == reference).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    return SandboxAuthorization.model_validate(dict(row._mapping)) if row else None


async def _keep(connection: AsyncConnection, authorization: SandboxAuthorization) -> None:
    values = authorization.model_dump()
    await connection.execute(
        insert(sandbox_authorizations)
        .values(values)
        .on_conflict_do_update(
            index_elements=["reference"], set_={name: values[name] for name in ("captured", "refunded", "voided")}
        )
    )


def _movement(row: Row[tuple[object, ...]]) -> SandboxMovement:
    call = SandboxCall.model_validate(row.first)
    outcome = ProviderOutcome.model_validate(row.outcome)
    at: datetime = row.answered_at
    return SandboxMovement(
        seq=row.seq,
        at=at,
        key=call.key,
        kind=call.kind,
        reference=row.reference or "",
        amount=call.amount,
        currency=row.currency or "",
        refused_because=outcome.refused_because,
    )


async def _network_order(
    connection: AsyncConnection, order_id: str, fulfillment_id: str, *, lock: bool = False
) -> SandboxNetworkOrder | None:
    query = select(sandbox_network_orders).where(
        _network.order_id == order_id, _network.fulfillment_id == fulfillment_id
    )
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return SandboxNetworkOrder.model_validate(dict(row._mapping)) if row else None
