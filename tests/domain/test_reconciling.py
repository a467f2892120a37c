"""What a report of reconciliation says of itself."""

import pytest

from domain.reconciling import NAMED_MAX, MendedStock, ReconcileReport


@pytest.mark.parametrize("count", ["not_compared", "unanswered", "let_go", "not_voided"])
def test_a_run_that_has_not_looked_at_everything_is_not_clean(count: str) -> None:
    report = ReconcileReport.model_validate({"looked_at": 3, "compared": 2, count: 1})
    assert not report.is_clean
    assert report.leaves_something


@pytest.mark.parametrize("count", ["held_back", "failed", "not_mended", "ended", "without_rows"])
def test_what_a_person_must_look_at_is_left(count: str) -> None:
    assert ReconcileReport.model_validate({"orders": [f"{count} 1042"], count: 1}).leaves_something


def test_what_was_mended_is_found_and_not_left() -> None:
    mended = ReconcileReport(taken_up=1, orders=("taken_up 1042",))
    assert not mended.is_clean
    assert not mended.leaves_something
    assert ReconcileReport(looked_at=3, compared=3).is_clean


def test_of_very_many_that_were_mended_some_are_named_and_all_counted() -> None:
    """The engine takes no result above 2 MB."""
    names = [f"{number:0200}" for number in range(20_000)]
    mended = MendedStock.of(names, units=30_000, backorders=0, levels=names, not_mended=names)
    assert (mended.orders_count, mended.levels_count, mended.not_mended_count) == (20_000,) * 3
    assert [*mended.orders] == [*mended.levels] == [*mended.not_mended] == names[:NAMED_MAX]
    assert len(mended.model_dump_json()) < 100_000
