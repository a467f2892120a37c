"""`/livez` and `/readyz` of worker and web while their servers are killed, and while they end."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from domain.requests import Unavailable
from localstack.ports import HOST, choose
from localstack.worker_process import wait_until_ready
from tests.observability.conftest import Outside, fetch, probe, until, until_all_is_well
from tests.shop import PATIENCE_SECONDS
from usecases.health import FROZEN_SECONDS, OK, Health, NotReady
from usecases.probes import probes_served
from usecases.settings import BadSettings


async def test_both_are_ready_and_every_check_says_so(outside: Outside) -> None:
    assert set(await asyncio.to_thread(until, outside.worker_probes, "readyz", 200)) == {
        *("event_loop", "run", "postgresql", "schema", "temporal", "pollers", "outbox", "insights")
    }
    checks = await asyncio.to_thread(until_all_is_well, outside.web_probes)
    assert checks == dict.fromkeys(("event_loop", "run", "postgresql", "schema", "temporal"), OK)
    assert fetch(f"{outside.stack.web_url}/readyz")[0] == fetch(f"{outside.stack.web_url}/metrics")[0] == 404


async def test_a_schema_of_before_is_named_and_one_of_later_is_fine(outside: Outside) -> None:
    async with outside.database.statement() as connection:
        head = str(await connection.scalar(text("SELECT version_num FROM alembic_version")))

    async def pretend(revision: str) -> None:
        async with outside.database.statement() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = :is"), {"is": revision})

    await pretend("0001")
    checks = await asyncio.to_thread(until, outside.web_probes, "readyz", 503, "schema")
    assert checks["schema"] == f"the schema is at revision 0001, this version needs {head}"
    for fine in ("9999", head):
        await pretend(fine)
        await asyncio.to_thread(until, outside.web_probes, "readyz", 200)


async def test_without_postgresql_nobody_is_ready_and_everybody_lives(outside: Outside) -> None:
    outside.stack.postgres.kill()
    for address in (outside.worker_probes, outside.web_probes):
        checks = await asyncio.to_thread(until, address, "readyz", 503, "postgresql")
        assert checks["postgresql"].startswith(("PostgreSQL: ", "no answer within"))
        assert (await asyncio.to_thread(probe, address, "livez"))[0] == 200
    outside.stack.postgres.start()
    for address in (outside.worker_probes, outside.web_probes):
        await asyncio.to_thread(until, address, "readyz", 200)


async def test_without_temporal_a_worker_is_not_ready_and_a_web_tells_of_it(outside: Outside) -> None:
    outside.stack.temporal.kill()
    await asyncio.to_thread(until, outside.worker_probes, "readyz", 503, "temporal")
    assert (await asyncio.to_thread(probe, outside.worker_probes, "livez"))[0] == 200
    told = await asyncio.to_thread(until, outside.web_probes, "readyz", 200, "temporal")
    assert told["postgresql"] == OK
    outside.stack.temporal.start()
    await asyncio.to_thread(until, outside.worker_probes, "readyz", 200)
    assert (await asyncio.to_thread(until_all_is_well, outside.web_probes))["temporal"] == OK


async def test_told_to_end_a_web_is_not_ready_before_it_closes(outside: Outside) -> None:
    """It answers meanwhile: whoever sends it requests has not seen yet that it is not ready."""
    ending = asyncio.create_task(asyncio.to_thread(outside.web.stop, patience_seconds=PATIENCE_SECONDS))
    assert (await asyncio.to_thread(until, outside.web_probes, "readyz", 503))["run"] == "stopping"
    assert fetch(outside.stack.web_url)[0] == 200
    await ending
    assert outside.web.exit_code == 0
    outside.web.start()
    wait_until_ready(outside.web)


# -- without servers -----------------------------------------------------------------------


@contextmanager
def _served(health: Health) -> Iterator[str]:
    address = f"{HOST}:{choose(0, 'OPENORDERS_HEALTH_ADDRESS')}"
    with probes_served(address, health, lambda: b""):
        yield address


async def test_a_loop_that_stands_still_does_not_live() -> None:
    now = [0.0]
    health = Health({}, clock=lambda: now[0])
    running = asyncio.create_task(health.run())
    with _served(health) as address:
        assert (await asyncio.to_thread(probe, address, "livez"))[0] == 200
        now[0] += FROZEN_SECONDS
        # Asked from this very thread: the loop cannot turn before the answer is there.
        status, checks = probe(address, "livez")
        assert (status, checks["event_loop"]) == (503, "has not turned for 10 s")
        assert probe(address, "readyz") == (503, checks)
    running.cancel()


async def test_each_check_has_its_reason_and_its_time() -> None:
    async def away() -> None:
        raise Unavailable("PostgreSQL: OperationalError (no connection)")

    async def behind() -> None:
        raise NotReady("the schema is at revision 0001, this version needs 0002")

    async def bug() -> None:
        raise ValueError("postgresql://user:password@host")

    async def hangs() -> None:
        await asyncio.sleep(3600)

    async def well() -> None:
        pass

    health = Health({"away": away, "behind": behind, "bug": bug, "hangs": hangs, "well": well})
    running = asyncio.create_task(health.run())
    with _served(health) as address:
        # Asked before the loop has had its first turn, it says that it is starting.
        checks = await asyncio.to_thread(until, address, "readyz", 503, "hangs")
    running.cancel()
    assert checks == {
        "event_loop": OK,
        "run": OK,
        "away": "PostgreSQL: OperationalError (no connection)",
        "behind": "the schema is at revision 0001, this version needs 0002",
        "bug": "ValueError",
        "hangs": "no answer within 3 s",
        "well": OK,
    }


async def test_before_its_loop_has_turned_a_process_lives_and_is_not_ready() -> None:
    health = Health({})
    assert health.live() == (True, {"event_loop": OK, "run": OK})
    assert health.ready() == (False, {"event_loop": OK, "run": "starting"})


async def test_a_loop_that_must_run_and_has_ended_is_the_end_of_the_process() -> None:
    health = Health({})
    health.broke("the loop outbox has ended")
    assert health.live() == (False, {"event_loop": OK, "run": "the loop outbox has ended"})


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:none", "127.0.0.1:99999"])
async def test_an_address_where_nobody_can_listen_is_a_clear_error(address: str) -> None:
    with pytest.raises(BadSettings, match="OPENORDERS_HEALTH_ADDRESS"), probes_served(address, Health({}), lambda: b""):
        pass
