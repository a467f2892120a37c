"""Each command for real: a story from checkout to doorstep, then every exit code."""

import asyncio
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from domain.messages import QUERIES
from localstack.worker_process import CHECKOUT
from tests.bad_input import BODIES, EXAMPLES, example
from tests.shop import eventually
from tests.starter.conftest import Terminal
from tests.usecases.test_olist import ITEM as OLIST_ITEM
from tests.usecases.test_olist import ORDER as OLIST_ORDER
from tests.usecases.test_olist import PAYMENT as OLIST_PAYMENT
from tests.usecases.test_olist import folder_with
from usecases.schemas import schemas

PACK = f"@{EXAMPLES}/messages/pack.json"
SHIP = f"@{EXAMPLES}/messages/ship.json"
ORDER = f"{EXAMPLES}/order.json"
QUERY_NAMES = {query.name for query in QUERIES}


def fresh(order_id: str, name: str = "order", **fields: object) -> str:
    return json.dumps(example(name) | {"order_id": order_id} | fields)


def test_an_order_goes_from_checkout_to_the_doorstep(starter: Terminal) -> None:
    assert starter("place", ORDER).out == "1042: placed\n"
    assert starter("place", ORDER).out == "1042: is there already and goes on\n"
    starter.until("packing_list", "1042", "--fulfillment-id", "acme-1", path="seller", value="acme")
    assert re.search(r"^1042 +Unshipped", starter("list", "--seller", "acme").out, re.MULTILINE)
    todo = starter("packing_list", "1042", "--fulfillment-id", "acme-1", "--json").json
    assert [(line["sku"], line["to_pack"]) for line in todo["lines"]] == [("MUG-BLUE", 2)]
    assert todo["ship_to"] == {"line2": "", "phone": ""} | example("order")["ship_to"]
    assert starter("pack", "1042", "--input", PACK, "--json").json["parcel_ids"] == ["acme-1-p1"]
    shipped = starter("ship", "1042", "--input", SHIP, "--json").json
    assert shipped["parcels"][0]["tracking_number"] == "1Z5R89390357567127"
    assert starter("confirm_delivery", "1042", "--parcel-id", "acme-1-p1").code == 0
    status = starter.until("status", "1042", path="closed", value=True)
    assert (status["status"], status["money"]["captured"]) == ("Delivered", 3239)
    assert starter("place", ORDER).out == "1042: is there already and has ended as Delivered\n"
    assert re.search(r"^\d+ .* captured +32.39 USD captured", starter("timeline", "1042").out, re.MULTILINE)
    assert starter("check").out == "all units and money add up\n"


def test_a_message_may_go_as_a_signal(starter: Terminal) -> None:
    starter("place", "-", stdin=fresh("by-signal"))
    assert starter("cancel", "by-signal", "--reason", "no more", "--signal").code == 0
    assert starter.until("status", "by-signal", path="closed", value=True)["status"] == "Canceled"


def test_flags_stand_over_the_input(starter: Terminal) -> None:
    starter("place", "-", stdin=fresh("flags"))
    starter("hold", "flags", "--input", '{"hold_id": "a", "reason": "first"}', "--hold-id", "b", "--update-id", "1")
    again = starter("hold", "flags", "--hold-id", "b", "--update-id", "1", "--json")
    assert again.json["id"] == "b"
    assert starter("status", "flags", "--json").json["holds"] == ["b"]


def test_stock_comes_in_is_counted_and_shown(starter: Terminal) -> None:
    level = ("--location", "acme-boston", "--seller", "acme", "--sku", "TEAPOT")
    for _ in range(2):  # the same delivery counts once
        answer = starter("stock", "receive", *level, "--quantity", "7", "--key", "truck-1", "--json")
        assert answer.json["on_hand"] == 7
    assert starter("stock", "correct", *level, "--change", "-2", "--key", "count-1", "--json").json["on_hand"] == 5
    (row,) = starter("stock", "show", "--location", "acme-boston", "--sku", "TEAPOT", "--json").json
    assert (row["on_hand"], row["available"]) == (5, 5)
    refused = starter("stock", "correct", *level, "--change", "-9", "--key", "count-2")
    assert (refused.code, refused.err) == (
        1,
        "starter.py: on_hand: TEAPOT at acme-boston would be -4, 0 are reserved\n",
    )


def test_lists_are_asked_by_what_staff_look_for(starter: Terminal) -> None:
    starter("place", f"{EXAMPLES}/order-declined.json")
    for _ in range(60):  # its rows come with its steps
        found = starter.until("list", "--attention", "payment_declined", path="next", value=None)
        if "1045" in [order["order_id"] for order in found["orders"]]:
            break
        time.sleep(0.5)
    assert "1045" in [order["order_id"] for order in found["orders"]]
    assert starter("list", "--status", "Unfulfillable").out == "no orders\n"
    starter("place", "-", stdin=fresh("listed-1"))
    starter("place", "-", stdin=fresh("listed-2"))
    first = starter("list", "--open", "--limit", "1")
    (after,) = re.findall(r"--after (\S+)\n", first.err)
    assert after in first.out
    assert after not in starter("list", "--open", "--after", after).out
    assert starter("list", "--ship-by-before", "2001-01-01").out == "no orders\n"


def test_people_are_sealed_corrected_and_erased(starter: Terminal) -> None:
    starter("place", "-", stdin=fresh("person"))
    assert starter("email", "person", "ada@example.org").out == "person: mails go to the new address from now on\n"
    wrong = starter("email", "person", "nobody")
    assert (wrong.code, wrong.err) == (2, "starter.py: address: 'nobody' is no mail address\n")
    assert starter("email", "no-such-order", "a@b.example").code == 3
    assert starter("seal", "--json").json == {"contacts": 0, "keys": 0}
    refused = starter("erase", "person")
    assert (refused.code, "is open" in refused.err) == (1, True)
    starter("cancel", "person")
    starter.until("status", "person", path="closed", value=True)
    assert starter("erase", "person", "--by", "support/ann", "--json").json[0]["outcome"] == "erased"
    assert starter("email", "person", "ada@example.org").code == 3
    assert starter("erase", "--again").out == "no orders\n"
    assert starter("erase", "person", "--again").code == 2


def test_an_import_answers_for_every_row_and_may_be_repeated(starter: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    path.write_text("\n".join([fresh("row-1"), "{", fresh("row-3", lines=[]), fresh("row-4")]))
    first = starter("import", str(path))
    assert first.code == 1
    assert first.out == "4 rows: 2 placed, 0 there already, 0 ended already, 2 not placed\n"
    assert [line.split(":")[0] for line in first.err.splitlines()] == ["line 2", "line 3"]
    again = starter("import", "-", "--json", stdin=fresh("row-1"))
    assert (again.code, again.json["same"], again.json["troubles"]) == (0, 1, [])


def test_every_exit_code_has_one_line(starter: Terminal) -> None:
    starter("place", "-", stdin=fresh("codes"))
    for code, says, answer in (
        (1, "no fulfillment", starter("packing_list", "codes", "--fulfillment-id", "nobody-1")),
        (1, "hold_id: ", starter("release_hold", "codes", "--hold-id", "nothing")),
        (2, "COMMAND", starter()),
        (2, "explode", starter("explode")),
        (2, "ORDER", starter("pack")),
        (2, "--key", starter("stock", "receive", "--quantity", "1")),
        (2, "parcels: Field required", starter("pack", "codes", "--fulfillment-id", "acme-1")),
        (
            2,
            "amount: Input should be a valid integer",
            starter("goodwill_refund", "codes", "--amount", "x", "--reason", "r"),
        ),
        (2, "no JSON", starter("pack", "codes", "--input", "{")),
        (2, "expected one JSON object", starter("pack", "codes", "--input", "[]")),
        (2, "No such file", starter("place", "/nowhere.json")),
        (2, "lines: ", starter("place", "-", stdin=fresh("codes-2", lines=[]))),
        (
            2,
            "lines.0.sku: ",
            starter("place", "-", stdin=fresh("codes-3", lines=[example("order")["lines"][0] | {"sku": "?"}])),
        ),
        (2, "OPENORDERS_DATABASE_URL", starter("list", OPENORDERS_DATABASE_URL="mysql://x")),
        (3, "there is no order 'nobody'", starter("status", "nobody")),
        (3, "there is no order 'nobody'", starter("note", "nobody", "--text", "hello")),
        (
            4,
            "another body",
            starter("place", "-", stdin=fresh("codes", customer=example("order")["customer"] | {"id": "x"})),
        ),
        (5, "127.0.0.1:1", starter("status", "codes", TEMPORAL_ADDRESS="127.0.0.1:1")),
        (5, "PostgreSQL", starter("check", OPENORDERS_DATABASE_URL="postgresql://nobody:x@127.0.0.1:1/none")),
    ):
        assert answer.code == code, answer
        assert says in answer.err, answer
        assert answer.err.count("\n") == 1, answer
        assert answer.out == "", answer


def test_an_olist_folder_comes_with_its_stock(starter: Terminal, tmp_path: Path) -> None:
    folder_with(tmp_path, orders=[OLIST_ORDER, OLIST_ORDER | {"order_id": "o2"}])
    first = starter("import", str(tmp_path))
    assert first.out == "2 rows: 1 placed, 0 there already, 0 ended already, 1 not placed\n"
    assert first.err.startswith("o2: invalid: lines: ")
    assert starter.until("status", "o1", path="status", value="Unshipped")["totals"]["currency"] == "BRL"
    assert starter("import", str(tmp_path), "--json").json["same"] == 1


def test_replay_plays_a_folder_and_exits_by_what_became_of_it(starter: Terminal, tmp_path: Path) -> None:
    assert starter("replay", str(tmp_path)).code == 2
    moved = {
        "order_id": "replayed",
        "order_status": "invoiced",
        "order_approved_at": OLIST_ORDER["order_purchase_timestamp"],
    }
    left = dict.fromkeys(("order_delivered_carrier_date", "order_delivered_customer_date"), "")
    folder_with(
        tmp_path,
        orders=[OLIST_ORDER | moved | left],
        order_items=[OLIST_ITEM | {"order_id": "replayed"}],
        order_payments=[OLIST_PAYMENT | {"order_id": "replayed"}],
    )
    played = starter("replay", str(tmp_path), "--only", "1")
    assert played.code == 0, played
    assert "0 differences, 0 of them unexplained; 0 messages refused; 0 violations" in played.out
    assert "1 of 1 orders started, 0 of 0 moves made" in played.err
    (end,) = starter("replay", str(tmp_path), "--json").json["ends"]
    assert (end["status"], end["closed"], end["units"]) == ("Unshipped", False, {"reserved": 1})
    assert starter("replay", str(tmp_path), "--factor", "4320").code == 4


def test_an_order_placed_while_no_worker_runs_waits_for_one(starter: Terminal) -> None:
    starter.worker.stop()
    try:
        placed = starter("place", "-", "--timeout", "5", stdin=fresh("patient"))
        assert (placed.code, placed.out) == (5, "patient: placed\n")
        assert "worker" in placed.err
        assert starter("status", "patient", "--timeout", "1").code == 5
    finally:
        starter.worker.start()
    assert starter("place", "-", stdin=fresh("patient")).out == "patient: is there already and goes on\n"
    starter.until("status", "patient", path="status", value="Unshipped")


def test_there_is_a_command_for_every_message_and_query(starter: Terminal) -> None:
    commands = set(re.findall(r"^    (\w+)", starter("--help").out, re.MULTILINE))
    assert BODIES.keys() <= commands


@pytest.mark.parametrize("name", sorted(BODIES))
def test_every_plain_field_has_a_flag(starter: Terminal, name: str) -> None:
    flags = set(re.findall(r"--[a-z-]+", starter(name, "--help").out))
    schema = schemas()[f"{'queries' if name in QUERY_NAMES else 'messages'}/{name}.json"]
    plain = {field for field, info in schema["properties"].items() if not _has_parts(info, schema)}
    assert {f"--{field.replace('_', '-')}" for field in plain} <= flags


def _has_parts(field: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Whether it is a list or an object, by itself or behind a reference."""
    options = [schema["$defs"][one["$ref"][8:]] if "$ref" in one else one for one in field.get("anyOf", [field])]
    return any(one.get("type") in ("array", "object") for one in options)


def test_output_that_nobody_reads_to_its_end_is_no_error(starter: Terminal) -> None:
    piped = subprocess.run(
        ["/bin/bash", "-c", f"{sys.executable} starter.py status --help | true; exit ${{PIPESTATUS[0]}}"],
        check=False,
        capture_output=True,
        cwd=CHECKOUT,
        env=starter.stack.environment,
    )
    assert (piped.returncode, piped.stderr) == (0, b"")


def test_reconcile_says_what_it_would_do_and_what_it_did(starter: Terminal) -> None:
    starter("place", "-", stdin=fresh("ended-by-hand"))
    starter.until("packing_list", "ended-by-hand", "--fulfillment-id", "acme-1", path="seller", value="acme")

    async def terminate() -> None:
        client = await Client.connect(starter.stack.temporal.address)
        await client.get_workflow_handle("order:ended-by-hand").terminate(reason="tried out")
        # What is listed as running still is left alone.
        listed = 'WorkflowId = "order:ended-by-hand" AND ExecutionStatus = "Terminated"'
        await eventually(lambda: client.count_workflows(listed), lambda found: found.count == 1)

    asyncio.run(terminate())
    planned = starter("reconcile", "--dry-run", "--grace", "0", "--json").json
    assert (planned["dry_run"], planned["taken_up"]) == (True, 1)
    assert "taken_up ended-by-hand" in planned["orders"]
    done = starter("reconcile", "--grace", "0")
    assert done.code == 0, done
    assert "taken_up ended-by-hand" in done.out
    assert starter.until("status", "ended-by-hand", path="closed", value=True)["status"] == "Canceled"
    assert re.search(r"reconciliation +taken_up", starter("timeline", "ended-by-hand").out)
    assert starter("reconcile", "--at-most", "0").code == 2
