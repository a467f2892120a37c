"""Buyers for the last units, from several processes and as whole orders; and the checks find what they are for."""

from datetime import UTC, datetime, timedelta

from benchmarks import oversold_orders
from benchmarks.buyers import Move
from benchmarks.oversell import Level, Waiting, not_sold_out, out_of_turn, play, wrong_levels, wrongly_refused
from localstack.stack import Stack
from localstack.worker_process import wait_until_ready
from store.migrations import migrate

_STOCK = {("near", "mug"): 2}
_NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


async def test_nothing_is_oversold_and_nothing_is_left_that_was_wanted(stack: Stack) -> None:
    url = stack.postgres.create_database("oversell")
    await migrate(url)
    report = await play(url, rounds=4, processes=3, seed=20261128)
    assert report.violations == []
    assert report.deadlocks == 0
    assert set(report.rounds.values()) == {1}
    assert report.moves["reserved"] > 4 * 50
    assert all(report.moves[what] for what in ("refused", "released", "handed_over", "received", "waits"))
    assert report.allocated > 0


async def test_whole_orders_on_two_workers_are_confirmed_or_told_and_all_end(stack: Stack) -> None:
    workers = [stack.worker({"OPENORDERS_CARRIER": "manual"}) for _ in range(2)]
    try:
        for process in workers:
            process.start()
        for process in workers:
            wait_until_ready(process)
        counts, wrong = await oversold_orders.play(stack, rounds=1, buyers=20, units=5, seed=20261128)
    finally:
        for process in workers:
            process.stop()
    assert wrong == []
    assert counts["orders"] == 20
    assert counts["refused"] == 15
    assert counts["served"] > 0
    assert counts["ended Delivered"] >= 5


# -- a check that finds nothing may be one that cannot -----------------------------------


def _move(what: str, began: float, units: int = 1, order_id: str = "o") -> Move:
    return Move(what, order_id, "mug", units, began, began + 0.5, "near")  # type: ignore[arg-type]


def _level(on_hand: int, reserved: int) -> Level:
    return Level("near", "mug", on_hand, reserved, on_hand, reserved, reserved)


def test_a_unit_sold_twice_is_found() -> None:
    sold = [_move("reserved", 0), _move("reserved", 1), _move("reserved", 2)]
    assert wrong_levels(_STOCK, sold[:2], [_level(2, 2)], []) == []
    assert any("3 units are sold and 2 reserved" in one for one in wrong_levels(_STOCK, sold, [_level(2, 2)], []))
    assert any("oversold" in one for one in wrong_levels(_STOCK, sold, [_level(2, 3)], []))


def test_a_lost_receipt_is_found() -> None:
    (found,) = wrong_levels(_STOCK, [_move("received", 0)], [_level(2, 0)], [])
    assert "3 should be on hand" in found


def test_a_level_that_its_movements_do_not_explain_is_found() -> None:
    level = _level(2, 0)._replace(on_hand_moved=1)
    (found,) = wrong_levels(_STOCK, [], [level], [])
    assert "not what its movements say" in found


def test_units_left_while_somebody_waits_are_found() -> None:
    (found,) = wrong_levels(_STOCK, [], [_level(2, 0)], [Waiting("o", "mug", _NOON, 0)])
    assert "2 are left while 1 wait" in found


def test_a_refusal_while_a_unit_was_there_is_found() -> None:
    sold, refused = [_move("reserved", 0), _move("reserved", 1)], _move("refused", 2)
    assert wrongly_refused(_STOCK, [*sold, refused]) == []
    (found,) = wrongly_refused(_STOCK, [*sold, _move("released", 1.2), refused])
    assert "though 1 were there" in found
    # Given back too late to say that the refusal was wrong.
    assert wrongly_refused(_STOCK, [*sold, _move("released", 1.8), refused]) == []


def test_a_backorder_served_out_of_turn_is_found() -> None:
    first, second = (Waiting(f"o{n}", "mug", _NOON + timedelta(seconds=n), 0) for n in (1, 2))
    assert out_of_turn([second, first], [second, first._replace(allocated=1)]) == []
    assert len(out_of_turn([second, first], [second._replace(allocated=1), first])) == 1


def test_a_buyer_who_got_none_of_what_was_left_is_found() -> None:
    moves = [_move("reserved", 0)] * 49 + [_move("refused", 0)] * 151
    (found,) = not_sold_out(moves)
    assert "49 of 50" in found
