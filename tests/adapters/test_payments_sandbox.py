"""The payment sandbox on a real PostgreSQL: what its test cards do, and that nothing is ever done twice."""

import asyncio

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from activities.ports import PaymentProvider
from adapters.payments.sandbox import KEY_REUSED, PaymentSandbox
from domain.requests import MoveKind, ProviderOutcome, Unavailable
from domain.sandbox import SandboxTotals
from store.database import Database
from store.sandbox import PaymentSandboxBook

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def book(database: Database) -> PaymentSandboxBook:
    return PaymentSandboxBook(database)


@pytest.fixture
def sandbox(book: PaymentSandboxBook) -> PaymentSandbox:
    return PaymentSandbox(book)


async def authorized(provider: PaymentProvider, amount: int = 1000, token: str = "tok_visa", order: str = "1") -> str:
    """The reference of an authorization that was granted."""
    outcome = await provider.authorize(f"{order}:authorize:p1", token, amount, "EUR")
    assert outcome.refused_because is None
    assert outcome.reference is not None
    return outcome.reference


async def do(provider: PaymentProvider, move: MoveKind, key: str, reference: str, amount: int) -> ProviderOutcome:
    calls = {MoveKind.CAPTURE: provider.capture, MoveKind.REFUND: provider.refund, MoveKind.VOID: provider.void}
    return await calls[move](key, reference, amount)


async def moved(sandbox: PaymentSandbox) -> list[tuple[MoveKind, int]]:
    return [(line.kind, line.amount) for line in await sandbox.movements() if line.refused_because is None]


async def test_money_goes_from_authorized_to_captured_in_parts_and_back(
    sandbox: PaymentSandbox, book: PaymentSandboxBook
) -> None:
    reference = await authorized(sandbox)
    assert await sandbox.capture("1:capture:a", reference, 300) == await sandbox.capture("1:capture:a", reference, 300)
    assert (await sandbox.capture("1:capture:b", reference, 500)).refused_because is None
    assert (await sandbox.void("1:void", reference, 200)).refused_because is None
    assert (await sandbox.refund("1:refund:a", reference, 100)).refused_because is None
    assert await book.totals() == (
        SandboxTotals(currency="EUR", authorized=1000, captured=800, refunded=100, voided=200),
    )
    assert await moved(sandbox) == [
        (MoveKind.AUTHORIZE, 1000),
        (MoveKind.CAPTURE, 300),
        (MoveKind.CAPTURE, 500),
        (MoveKind.VOID, 200),
        (MoveKind.REFUND, 100),
    ]
    assert [line.currency for line in await sandbox.movements()] == ["EUR"] * 5


@pytest.mark.parametrize("move", [MoveKind.CAPTURE, MoveKind.REFUND, MoveKind.VOID])
async def test_each_call_made_twice_has_one_effect_and_one_answer(sandbox: PaymentSandbox, move: MoveKind) -> None:
    reference = await authorized(sandbox)
    assert await authorized(sandbox) == reference
    if move is MoveKind.REFUND:
        await sandbox.capture("1:capture", reference, 1000)
    before = await moved(sandbox)
    first = await do(sandbox, move, "1:move", reference, 400)
    assert first.reference is not None
    assert await do(sandbox, move, "1:move", reference, 400) == first
    assert await moved(sandbox) == [*before, (move, 400)]


async def test_a_refusal_is_repeated_too(sandbox: PaymentSandbox) -> None:
    first = await sandbox.authorize("1:authorize:p1", "tok_decline_insufficient_funds", 100, "EUR")
    assert first == ProviderOutcome(refused_because="insufficient funds")
    assert await sandbox.authorize("1:authorize:p1", "tok_decline_insufficient_funds", 100, "EUR") == first
    assert len(await sandbox.movements()) == 1


@pytest.mark.parametrize("amount", [399, 401])
@pytest.mark.parametrize("move", [MoveKind.CAPTURE, MoveKind.VOID])
async def test_a_key_with_another_body_is_refused_and_changes_nothing(
    sandbox: PaymentSandbox, move: MoveKind, amount: int
) -> None:
    reference = await authorized(sandbox)
    first = await do(sandbox, move, "1:move", reference, 400)
    before = await sandbox.movements()
    assert (await do(sandbox, move, "1:move", reference, amount)).refused_because == KEY_REUSED
    other = MoveKind.VOID if move is MoveKind.CAPTURE else MoveKind.CAPTURE
    assert (await do(sandbox, other, "1:move", reference, 400)).refused_because == KEY_REUSED
    assert await sandbox.movements() == before
    assert await do(sandbox, move, "1:move", reference, 400) == first


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("tok_decline_insufficient_funds", "insufficient funds"),
        ("tok_decline_expired", "expired card"),
        ("tok_decline_do_not_honor", "do not honor"),
        ("tok_decline_", "declined"),
        ("tok_vsia", "unknown test card tok_vsia"),
        ("tok_visa", None),
        ("voucher-88", None),
    ],
)
async def test_the_token_decides_whether_an_authorization_is_granted(
    sandbox: PaymentSandbox, token: str, reason: str | None
) -> None:
    outcome = await sandbox.authorize("1:authorize:p1", token, 100, "EUR")
    assert outcome.refused_because == reason
    assert (outcome.reference is None) == (reason is not None)


async def test_more_than_there_is_is_refused_and_an_unknown_authorization_too(sandbox: PaymentSandbox) -> None:
    reference = await authorized(sandbox, 1000)
    assert (await sandbox.capture("1:c1", reference, 1001)).refused_because == "capture of 1001, but only 1000 is left"
    assert (await sandbox.capture("1:c2", reference, 700)).refused_because is None
    assert (await sandbox.void("1:v1", reference, 301)).refused_because == "void of 301, but only 300 is left"
    assert (await sandbox.refund("1:r1", reference, 701)).refused_because == "refund of 701, but only 700 is left"
    assert (await sandbox.capture("1:c3", reference, 0)).refused_because == "amount 0 is not positive"
    assert (await sandbox.capture("1:c4", "auth_none", 1)).refused_because == "no such authorization: auth_none"


async def test_cards_that_are_granted_and_refuse_later(sandbox: PaymentSandbox) -> None:
    reference = await authorized(sandbox, token="tok_capture_refused")
    assert (await sandbox.capture("1:c", reference, 10)).refused_because == "capture refused by the card's bank"
    assert (await sandbox.void("1:v", reference, 1000)).refused_because is None
    reference = await authorized(sandbox, token="tok_refund_refused", order="2")
    assert (await sandbox.capture("2:c", reference, 10)).refused_because is None
    assert (await sandbox.refund("2:r", reference, 10)).refused_because == "refund refused by the card's bank"


@pytest.mark.parametrize(("several_captures", "token"), [(True, "tok_single_capture"), (False, "tok_visa")])
async def test_a_single_capture_gives_the_rest_back_by_itself(
    book: PaymentSandboxBook, several_captures: bool, token: str
) -> None:
    sandbox = PaymentSandbox(book, several_captures=several_captures)
    reference = await authorized(sandbox, token=token)
    assert (await sandbox.capture("1:c1", reference, 400)).refused_because is None
    assert (await sandbox.capture("1:c2", reference, 1)).refused_because == "capture of 1, but only 0 is left"
    assert (await sandbox.void("1:v", reference, 600)).refused_because is None
    assert (await sandbox.void("1:v2", reference, 601)).refused_because is not None
    assert await book.totals() == (
        SandboxTotals(currency="EUR", authorized=1000, captured=400, refunded=0, voided=600),
    )


async def test_a_timeout_after_success_has_done_it_once_and_the_retry_gets_the_answer(sandbox: PaymentSandbox) -> None:
    with pytest.raises(Unavailable):
        await authorized(sandbox, token="tok_timeout_after_success")
    assert await moved(sandbox) == [(MoveKind.AUTHORIZE, 1000)]
    reference = await authorized(sandbox, token="tok_timeout_after_success")
    for move in (MoveKind.CAPTURE, MoveKind.REFUND, MoveKind.VOID):
        with pytest.raises(Unavailable):
            await do(sandbox, move, f"1:{move}", reference, 100)
        assert (await moved(sandbox))[-1] == (move, 100)
        assert (await do(sandbox, move, f"1:{move}", reference, 100)).reference is not None
    assert len(await sandbox.movements()) == 4


async def test_unavailable_once_has_done_nothing_at_the_first_try(sandbox: PaymentSandbox) -> None:
    with pytest.raises(Unavailable):
        await authorized(sandbox, token="tok_unavailable_once")
    assert await sandbox.movements() == ()
    reference = await authorized(sandbox, token="tok_unavailable_once")
    with pytest.raises(Unavailable):
        await sandbox.capture("1:c", reference, 100)
    assert (await sandbox.capture("1:c", reference, 200)).refused_because == KEY_REUSED
    assert (await sandbox.capture("1:c", reference, 100)).refused_because is None
    assert await moved(sandbox) == [(MoveKind.AUTHORIZE, 1000), (MoveKind.CAPTURE, 100)]


async def test_what_one_process_did_another_one_knows(database: Database, sandbox: PaymentSandbox) -> None:
    reference = await authorized(sandbox)
    heir = PaymentSandbox(PaymentSandboxBook(database))
    assert await authorized(heir) == reference
    assert (await heir.capture("1:c", reference, 1000)).refused_because is None


async def test_the_same_call_many_times_at_once_is_done_once(sandbox: PaymentSandbox) -> None:
    references = await asyncio.gather(*(authorized(sandbox) for _ in range(8)))
    assert len(set(references)) == 1
    outcomes = await asyncio.gather(*(sandbox.capture("1:c", references[0], 600) for _ in range(8)))
    assert len({outcome.reference for outcome in outcomes}) == 1
    assert await moved(sandbox) == [(MoveKind.AUTHORIZE, 1000), (MoveKind.CAPTURE, 600)]


async def test_captures_at_once_never_take_more_than_was_authorized(
    sandbox: PaymentSandbox, book: PaymentSandboxBook
) -> None:
    reference = await authorized(sandbox)
    outcomes = await asyncio.gather(*(sandbox.capture(f"1:c{number}", reference, 300) for number in range(8)))
    assert sum(outcome.refused_because is None for outcome in outcomes) == 3
    assert [total.captured for total in await book.totals()] == [900]


async def test_movements_and_authorizations_of_one_order(sandbox: PaymentSandbox, book: PaymentSandboxBook) -> None:
    await authorized(sandbox, order="1_")
    await authorized(sandbox, order="12")
    assert [line.key for line in await sandbox.movements("1_:")] == ["1_:authorize:p1"]
    assert [one.authorized for one in await book.authorizations("1_")] == [1000]
    assert len(await book.authorizations()) == 2


@pytest.mark.parametrize("broken", ["captured = 1001", "captured = 600, voided = 600", "refunded = 1", "voided = -1"])
async def test_the_database_itself_refuses_impossible_money(
    database: Database, sandbox: PaymentSandbox, broken: str
) -> None:
    await authorized(sandbox)
    with pytest.raises(IntegrityError):
        async with database.transaction() as connection:
            await connection.execute(text(f"UPDATE sandbox_authorizations SET {broken}"))
