"""A shop with worker and web in processes of their own, and every attack on it."""

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import httpx
from pydantic import SecretStr
from temporalio.api.enums.v1 import EventType, TimeoutType, WorkflowTaskFailedCause
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter

from localstack.process import ManagedProcess
from localstack.worker_process import wait_until_ready
from tests.doors import files, names, sealed_doors, temporal_doors, web_doors
from tests.doors.report import Report
from tests.encryption import NEW, OLD, converter
from tests.faults.shop import BesiegedShop, besieged_shop
from tests.shop import eventually
from usecases.settings import Settings
from web.app import build

_GROWTH_MAX = 4
"""So many times the memory that a process had taken before, at the most."""

_TAKEN_BACK = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
)
"""By the server, which gives the task out anew with what came in meanwhile: a message while the order was about to end
its run, or more of them than it holds back while a task runs. No code of ours has failed.
"""

_OUT_OF_TIME = "asyncio.exceptions.CancelledError"
"""How the SDK ends an activity that takes too long, and tries it again; it logs where it was."""


class Others:
    """Somebody who looks at the shop all the while, and is to be answered."""

    def __init__(self) -> None:
        self.answered = 0
        self.longest_seconds = 0.0
        self.wrong: list[str] = []

    async def look(self, web: web_doors.Web) -> None:
        async with web.client() as client:
            while True:
                began = time.monotonic()
                try:
                    answer = await client.get("/")
                except httpx.HTTPError as error:
                    self.wrong.append(f"somebody else got no answer: {error!r}")
                else:
                    self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
                    self.answered += 1
                    if answer.status_code != 200:
                        self.wrong.append(f"somebody else got {answer.status_code} {answer.text[:200]}")
                await asyncio.sleep(0.1)


class Siege(NamedTuple):
    report: Report
    others: Others
    remarks: list[str]
    broken: list[str]
    slow: list[str]
    """Workflow tasks and activities that were not done in time: by hostile input, or by a machine that has none."""

    def text(self) -> str:
        lines = [self.report.text(), *self.remarks]
        lines.append(
            f"others were answered {self.others.answered} times, after {self.others.longest_seconds:.1f} s at the most"
        )
        lines += [f"SLOW {one}" for one in self.slow]
        lines += [f"BROKEN {one}" for one in self.broken] or [
            "nothing is broken: processes live, orders have ended, units and money add up, no workflow task failed"
        ]
        return "\n".join(lines)


async def besiege(seed: int, count: int) -> Siege:
    """Every door, with `count` of the hostile values at each place, drawn by `seed`."""

    async def attack(siege: Siege, shop: BesiegedShop, web: web_doors.Web) -> None:
        await web_doors.all_of(siege.report, web, Random(seed), count)
        await temporal_doors.all_of(siege.report, shop, Random(seed + 1), count)
        await names.all_of(siege.report, web, Random(seed + 2), count)
        await files.all_of(siege.report, shop, Random(seed + 3), count)

    return await _besieged(Siege(Report(seed, count), Others(), [], [], []), attack, {}, pydantic_data_converter)


async def besiege_sealed(seed: int, count: int) -> Siege:
    """The doors that keys make or change, where encryption is required."""

    async def attack(siege: Siege, shop: BesiegedShop, web: web_doors.Web) -> None:
        await sealed_doors.all_of(siege.report, shop, web.url, Random(seed + 4), count)

    siege = Siege(Report(seed, count), Others(), [], [], [])
    return await _besieged(siege, attack, sealed_doors.environment(), converter(NEW, OLD))


async def _besieged(
    siege: Siege,
    attack: Callable[[Siege, BesiegedShop, web_doors.Web], Awaitable[None]],
    environ: dict[str, str],
    data_converter: DataConverter,
) -> Siege:
    async with besieged_shop(environ, data_converter) as shop:
        process = shop.stack.web(environ)
        process.start()
        try:
            wait_until_ready(process)
            processes = (shop.worker, process)
            before = {one.name: _memory_kb(one.pid) for one in processes}
            web = _web(shop)
            looking = asyncio.create_task(siege.others.look(web))
            try:
                await attack(siege, shop, web)
            except Exception:  # what was let in before it is told all the same
                siege.broken.append(f"the siege broke off: {traceback.format_exc()}")
            looking.cancel()
            await asyncio.wait([looking])
            siege.broken.extend(siege.others.wrong)
            for one in processes:
                _examine(siege, one, before[one.name])
            await _examine_orders(siege, shop)
        finally:
            process.stop()
    return siege


def _web(shop: BesiegedShop) -> web_doors.Web:
    secret = shop.stack.addresses["OPENORDERS_SECRET_KEY"]
    settings = Settings(database_url=SecretStr(shop.stack.postgres.dsn), secret_key=SecretStr(secret))
    return web_doors.Web(shop, shop.stack.web_url, build(settings, shop.client, shop.database), secret)


def _examine(siege: Siege, process: ManagedProcess, before_kb: int) -> None:
    if not process.running:
        siege.broken.append(f"{process.name} has ended: {process.log_tail()}")
        return
    after_kb = _memory_kb(process.pid)
    siege.remarks.append(f"memory of {process.name}: {before_kb // 1024} MB before, {after_kb // 1024} MB after")
    if after_kb > _GROWTH_MAX * before_kb:
        siege.broken.append(f"{process.name} takes more than {_GROWTH_MAX} times the memory that it took")
    log = iter(process.log.read_text(errors="replace").splitlines())
    for line in log:
        if "Traceback (most recent call last)" in line:
            error = next((line for line in log if line[:1].strip()), "")
            told = siege.slow if error.startswith(_OUT_OF_TIME) else siege.broken
            told.append(f"{process.name} had a traceback: {error}; {process.log_tail(60)}")


def _memory_kb(pid: int) -> int:
    row = next(row for row in Path(f"/proc/{pid}/status").read_text().splitlines() if row.startswith("VmRSS"))
    return int(row.split()[1])


async def _examine_orders(siege: Siege, shop: BesiegedShop) -> None:
    async for order in shop.client.list_workflows("WorkflowType = 'OrderWorkflow'"):
        handle = shop.client.get_workflow_handle(order.id, run_id=order.run_id)
        # The list may be behind, and so may the order.
        if order.close_time is None:
            try:
                await eventually(handle.describe, lambda found: found.close_time is not None)
            except AssertionError:
                siege.broken.append(f"{order.id} is open still")
        async for event in handle.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                failed = event.workflow_task_failed_event_attributes
                if failed.cause not in _TAKEN_BACK:
                    cause = WorkflowTaskFailedCause.Name(failed.cause)
                    siege.broken.append(f"{order.id}: a workflow task failed, {cause}: {failed.failure.message}")
            elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
                kind = TimeoutType.Name(event.workflow_task_timed_out_event_attributes.timeout_type)
                siege.slow.append(f"{order.id}: a workflow task timed out, {kind}")
    try:
        await shop.conserves()
    except AssertionError as error:
        siege.broken.append(f"units or money do not add up: {error}")
    mails = shop.stack.mails.mailbox.all()
    siege.broken.extend(f"a mail to {mail.recipients}" for mail in mails if "evil" in " ".join(mail.recipients))
