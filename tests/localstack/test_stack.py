"""The servers together, and what is left of them after every kind of end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from temporalio.client import Client

from localstack import ports
from localstack.errors import LocalStackError, PortTaken
from localstack.ports import Ports
from localstack.process import ManagedProcess
from localstack.stack import Stack

RUNS_UNTIL_KILLED = """
import sys, time
from pathlib import Path
from localstack.stack import Stack, ended_by_signals

with ended_by_signals(), Stack(Path(sys.argv[1]), durable=False, say=lambda _: None) as stack:
    print(stack.postgres.process.pid, stack.temporal.process.pid, flush=True)
    time.sleep(1000)
"""


async def test_a_temporary_stack_serves_and_leaves_nothing_behind() -> None:
    with Stack.temporary({"OrderStatus": "Keyword"}) as stack:
        environment = stack.environment
        client = await Client.connect(environment["TEMPORAL_ADDRESS"])
        assert await client.service_client.check_health()
        assert ports.answers(int(environment["OPENORDERS_SMTP_PORT"]))
        assert environment["OPENORDERS_DATABASE_URL"] == stack.postgres.dsn
    assert not stack.postgres.running
    assert not stack.temporal.running
    assert not stack.state_dir.exists()


def test_a_second_stack_on_the_same_state_is_refused(state_dir: Path) -> None:
    with Stack(state_dir, durable=False) as stack:
        with pytest.raises(LocalStackError, match="already runs"):
            Stack(state_dir, durable=False).start()
        assert stack.postgres.running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_server(state_dir: Path, number: signal.Signals) -> None:
    owner, servers = start_owner(state_dir)
    owner.send_signal(number)
    owner.communicate()
    assert [pid for pid in servers if is_alive(pid)] == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_the_servers_die_with_their_killed_owner_and_the_next_stack_goes_on(state_dir: Path) -> None:
    owner, servers = start_owner(state_dir)
    owner.kill()
    owner.communicate()
    with Stack(state_dir, durable=False):
        assert [pid for pid in servers if is_alive(pid)] == []


def test_after_a_kill_of_everything_the_next_stack_goes_on(state_dir: Path) -> None:
    owner, servers = start_owner(state_dir)
    for pid in (owner.pid, *servers):
        os.kill(pid, signal.SIGKILL)
    owner.communicate()
    with Stack(state_dir, durable=False) as stack:
        assert stack.postgres.running


def test_a_server_that_cannot_start_takes_the_others_down_again(state_dir: Path) -> None:
    with Stack.temporary() as other:
        taken = Stack(state_dir, Ports(smtp=other.mails.smtp_port), durable=False)
        with pytest.raises(PortTaken, match="OPENORDERS_SMTP_PORT"):
            taken.start()
        assert not taken.postgres.running
        assert not taken.temporal.running


def test_a_worker_is_killed_and_started_again(tmp_path: Path) -> None:
    worker = ManagedProcess("worker", ["sleep", "1000"], tmp_path / "worker.log", environ={"PATH": os.defpath})
    worker.start()
    first = worker.pid
    worker.kill()
    assert worker.exit_code == -signal.SIGKILL
    worker.start()
    assert worker.running
    assert worker.pid != first
    worker.stop()
    assert worker.exit_code == -signal.SIGTERM


def test_the_fixed_ports_can_be_set_and_a_wrong_setting_is_named() -> None:
    assert Ports.fixed({}) == Ports(postgres=15432, temporal=7233, temporal_ui=8233, smtp=1025, mails=8025, web=8080)
    assert Ports.fixed({"OPENORDERS_SMTP_PORT": "2025"}).smtp == 2025
    with pytest.raises(LocalStackError, match="OPENORDERS_SMTP_PORT must be a port number, not 'mail'"):
        Ports.fixed({"OPENORDERS_SMTP_PORT": "mail"})


def start_owner(state_dir: Path) -> tuple["subprocess.Popen[str]", list[int]]:
    owner = subprocess.Popen(
        [sys.executable, "-c", RUNS_UNTIL_KILLED, str(state_dir)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert owner.stdout is not None
    return owner, [int(pid) for pid in owner.stdout.readline().split()]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that nobody has asked after yet is dead all the same.
    answer = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True)
    return not answer.stdout.strip().startswith("Z") and bool(answer.stdout.strip())
