"""Real servers and workers that a fault run breaks; PostgreSQL on a disk that can be filled, where one may mount."""

import asyncio
import copy
import ctypes
import os
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from temporalio.client import Client, OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter

from localstack.stack import Stack
from store.database import Database
from store.inventory import Inventory
from store.migrations import migrate
from store.views.order import OrderViews
from tests.faults.forked import ForkedWorker, Job
from tests.faults.plan import PlannedFault
from tests.faults.stories import LOST_PARCELS
from tests.faults.trouble import Trouble
from tests.shop import Shop
from usecases.orders import Orders
from workflows.names import SEARCH_ATTRIBUTES, TASK_QUEUE

TASK_SECONDS = 5.0
"""Until the engine takes a workflow task from a worker that does not answer; ten in life."""

_DISK_BYTES = 1_500_000_000

Say = Callable[[str], None]


class _ShortTasks(ClientInterceptor):
    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        class Outbound(OutboundInterceptor):
            async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
                input.task_timeout = timedelta(seconds=TASK_SECONDS)
                return await super().start_workflow(input)

        return Outbound(next)


class Siege(Shop):
    """A shop on servers of its own. `no_disk` says why the disk under PostgreSQL cannot be filled here, if so."""

    def __init__(self, stack: Stack, client: Client, no_disk: str | None) -> None:
        self.stack = stack
        self.client = client
        self.task_queue = TASK_QUEUE
        self.database = Database(stack.postgres.dsn)
        self.orders = Orders(client)
        self.inventory = Inventory(self.database)
        self.views = OrderViews(self.database)
        self.no_disk = no_disk
        self.injected: Counter[str] = Counter()
        self._jobs = 0

    def on_queue(self, task_queue: str) -> "Siege":
        """The same shop with its orders on another queue."""
        other = copy.copy(self)
        other.task_queue = task_queue
        other.orders = Orders(self.client, task_queue=task_queue)
        return other

    def worker(self, task_queue: str = TASK_QUEUE, *, trouble: Trouble | None = None, **job: Any) -> ForkedWorker:
        self._jobs += 1
        log = self.stack.state_dir / f"forked-{self._jobs}.log"
        environ = self.stack.environment | LOST_PARCELS
        return ForkedWorker(Job(task_queue, environ, log, trouble=trouble, **job))

    # -- what breaks ---------------------------------------------------------------------

    async def strike(self, fault: PlannedFault, workers: list[ForkedWorker]) -> None:
        """Break it, wait as long as the plan says, and mend it."""
        match fault.kind:
            case "worker killed":
                workers[fault.worker].kill()
                workers[fault.worker].start()
            case "worker frozen":
                workers[fault.worker].freeze()
                await asyncio.sleep(fault.seconds)
                workers[fault.worker].thaw()
            case "Temporal killed":
                self.stack.temporal.kill()
                await asyncio.to_thread(self.stack.temporal.start)
            case "PostgreSQL killed":
                self.stack.postgres.kill()
                await asyncio.to_thread(self.stack.postgres.start)
            case "PostgreSQL stopped":
                await asyncio.to_thread(self.stack.postgres.stop)
                await asyncio.sleep(fault.seconds)
                await asyncio.to_thread(self.stack.postgres.start)
            case "disk full":
                await self._fill_disk(fault.seconds)
            case "mail refuses":
                await self._mail(self.stack.mails.refuse, fault.seconds)
            case "mail hangs":
                await self._mail(self.stack.mails.hang, fault.seconds)
            case "mail drops":
                await self._mail(self.stack.mails.drop, fault.seconds)
            case "mail stopped":
                await asyncio.to_thread(self.stack.mails.stop)
                await asyncio.sleep(fault.seconds)
                await asyncio.to_thread(self.stack.mails.start)
            case _:
                raise AssertionError(f"no such fault: {fault.kind}")
        self.injected[fault.kind] += 1

    async def _mail(self, switch: Callable[[bool], None], seconds: float) -> None:
        switch(True)
        try:
            await asyncio.sleep(seconds)
        finally:
            switch(False)

    async def _fill_disk(self, seconds: float) -> None:
        """Until nothing is left of it; PostgreSQL may end itself over this, as it does where its log cannot grow."""
        assert self.no_disk is None, self.no_disk
        ballast = self.stack.postgres.state_dir / "ballast"
        refused = self._disk_refusals()
        await asyncio.to_thread(_fill, ballast)
        try:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                await asyncio.to_thread(_fill, ballast)
                await asyncio.sleep(0.2)
        finally:
            ballast.unlink()
        if not self.stack.postgres.running:
            await asyncio.to_thread(self.stack.postgres.start)
            self.injected["disk full: PostgreSQL ended itself"] += 1
        else:
            await asyncio.to_thread(self.stack.postgres.wait_until_ready)
        self.injected["disk full: statements refused"] += self._disk_refusals() - refused

    def _disk_refusals(self) -> int:
        log = self.stack.postgres.state_dir / "postgres.log"
        return log.read_text(errors="replace").count("No space left on device") if log.exists() else 0


@asynccontextmanager
async def siege(say: Say = print) -> AsyncIterator[Siege]:
    """Everything gone at the end."""
    with tempfile.TemporaryDirectory(prefix="openorders-faults-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # where we are root, PostgreSQL's user must get through to its part
        with _small_disk(Path(folder) / "postgres") as no_disk:
            stack = Stack(Path(folder), search_attributes=SEARCH_ATTRIBUTES, durable=False, say=say)
            try:
                with stack:
                    _prepare(stack)
                    await migrate(stack.postgres.dsn)
                    client = await Client.connect(
                        stack.temporal.address,
                        data_converter=pydantic_data_converter,
                        interceptors=[_ShortTasks()],
                    )
                    shop = Siege(stack, client, no_disk)
                    await shop.open()
                    try:
                        yield shop
                    finally:
                        await shop.database.close()
            finally:
                stack.stop()


def _prepare(stack: Stack) -> None:
    """A write-ahead log that leaves most of the small disk to the tables."""
    url = stack.postgres.dsn.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET max_wal_size = '192MB'")
        connection.execute("SELECT pg_reload_conf()")


def _fill(file: Path) -> None:
    block = bytes(1 << 20)
    with file.open("ab", buffering=0) as ballast:
        while block:
            try:
                written = ballast.write(block)
            except OSError:
                written = 0
            # Smaller and smaller, to the last byte.
            block = block if written == len(block) else block[: len(block) // 2]


@contextmanager
def _small_disk(folder: Path) -> Iterator[str | None]:
    """Mounts a small file system in memory there. Gives why not, where we may not: nothing is mounted then."""
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"size={_DISK_BYTES},mode=0755".encode()
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, options) != 0:
        yield f"no file system could be mounted: {os.strerror(ctypes.get_errno())}"
        return
    try:
        yield None
    finally:
        if libc.umount2(os.fsencode(folder), 2) != 0:  # MNT_DETACH: a backend of PostgreSQL may still be ending
            raise OSError(ctypes.get_errno(), f"could not unmount {folder}")
