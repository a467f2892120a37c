"""`make demo` as a stranger runs it: one process, its output in a file, and nothing left of it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from localstack.chromium import HOW_TO_GET_IT, NoChromium
from localstack.demo.__main__ import Show, taken
from localstack.demo.pictures import IN_README
from localstack.demo.sample import sample
from localstack.demo.under_way import UnderWay
from store.database import Database
from store.keys import Keys
from usecases.orders import Orders
from usecases.temporal import connect

CHECKOUT = Path(__file__).parents[2]
ORDERS = CHECKOUT / "localstack" / "sample" / "orders.jsonl"


@pytest.mark.slow
def test_the_demo_plays_every_order_to_its_expected_end_and_leaves_nothing(state_dir: Path) -> None:
    demo = run_demo(state_dir)
    assert demo.returncode == 0, demo.stdout[-5000:]
    orders = len(ORDERS.read_text(encoding="utf-8").splitlines())
    assert f"{orders} of {orders} orders ended as they should" in demo.stdout
    assert "asked of the database: 0 violations" in demo.stdout
    assert "\x1b" not in demo.stdout
    assert demo.stderr == ""
    assert "  Shop, and pages of orders  " in demo.stdout.partition(" placed ")[0]
    assert left_behind(state_dir) == []
    shows_pictures(state_dir, demo.stdout)


def shows_pictures(state_dir: Path, said: str) -> None:
    """The pages' pictures are all that is left; none, and a line that says why, where there is no Chromium."""
    left = sorted(path.relative_to(state_dir / "demo").as_posix() for path in (state_dir / "demo").rglob("*"))
    if "No pictures of the pages" in said:
        assert (HOW_TO_GET_IT in said, left) == (True, [])
        if os.environ.get("OPENORDERS_CI"):
            pytest.fail("there is no Chromium")
        pytest.skip("all but its pictures is right: there is no Chromium")
    assert {f"pictures/{name}.png" for name in ("shop", "seller-queue", "support-order", *IN_README)} <= set(left)
    assert f"{len(left) - 1} pictures of the pages are in " in said
    for name in left[1:]:
        picture = (state_dir / "demo" / name).read_bytes()
        assert picture.startswith(b"\x89PNG\r\n"), name
        assert len(picture) > 10_000, name


def test_without_chromium_there_are_no_screenshots_and_one_line_says_so(state_dir: Path) -> None:
    demo = run_demo(state_dir, "--screenshots", str(state_dir / "pictures"), OPENORDERS_CHROMIUM="no-such-browser")
    assert (demo.returncode, demo.stdout) == (1, "")
    assert demo.stderr == f"make demo: {NoChromium()}\n"
    assert list(state_dir.iterdir()) == []


async def test_a_demo_without_chromium_says_how_to_get_it_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENORDERS_CHROMIUM", "no-such-browser")
    show = Show(sample(), pictured=True)
    orders = Orders(await connect(lazy=True, environ={"TEMPORAL_ADDRESS": "127.0.0.1:1"}))
    keys = Keys(Database("postgresql://127.0.0.1:1/none"))
    assert await taken(show, "http://127.0.0.1:1", keys, UnderWay(orders, show.programme.catalog)) == {}
    assert capsys.readouterr().out == f"No pictures of the pages: {NoChromium()}\n"


@pytest.mark.slow
def test_orders_of_somebody_elses_are_played_and_what_is_no_order_is_named(state_dir: Path, tmp_path: Path) -> None:
    first, second, *_ = ORDERS.read_text(encoding="utf-8").splitlines()
    broken = json.dumps({**json.loads(second), "order_id": "broken", "lines": []})
    given = tmp_path / "orders.jsonl"
    given.write_text(f"{next_day(first)}\n{broken}\n{next_day(second)}\n", encoding="utf-8")
    demo = run_demo(state_dir, str(given), ORDERS_MAX="2")
    assert "The first 2 orders only" in demo.stdout
    assert "No order: line 2: lines:" in demo.stdout
    assert "1 of 1 orders ended as they should" in demo.stdout, demo.stdout[-5000:]
    assert demo.returncode == 1


def test_a_file_that_is_not_there_is_an_error_on_one_line(state_dir: Path) -> None:
    demo = run_demo(state_dir, "no-such-file.jsonl")
    assert (demo.returncode, demo.stdout) == (1, "")
    assert demo.stderr.startswith("make demo: ORDERS=no-such-file.jsonl: ")
    assert demo.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_leaves_nothing_running(state_dir: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        command(), env=environment(state_dir), cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "handed over" in line:
                break
        assert any(str(state_dir) in line for line in _processes())
        demo.send_signal(number)
        _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 128 + number
    assert "Traceback" not in errors
    assert left_behind(state_dir) == []
    assert not (state_dir / "demo").exists()


def next_day(body: str) -> str:
    """Standard takes more than a minute, also on the fast clock."""
    order = json.loads(body)
    order["shipping"]["method"] = "NextDay"
    return json.dumps(order)


def run_demo(state_dir: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*command(), *arguments],
        check=False,
        env=environment(state_dir) | settings,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=280,
    )


def command() -> list[str]:
    return [sys.executable, "-m", "localstack.demo"]


def environment(state_dir: Path) -> dict[str, str]:
    return {**os.environ, "OPENORDERS_STATE_DIR": str(state_dir)}


def left_behind(state_dir: Path) -> list[str]:
    """Processes that name the folder in their command or environment; one that is just ending is given a moment."""
    deadline = time.monotonic() + 30
    while found := [line for line in _processes() if str(state_dir) in line]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return found


def _processes() -> list[str]:
    answer = subprocess.run(["ps", "axeww", "-o", "pid=,args="], check=True, capture_output=True, text=True)
    return [line for line in answer.stdout.splitlines() if line.split(maxsplit=1)[0] != str(os.getpid())]
