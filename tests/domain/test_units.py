"""Units are in one place each, and moving them loses none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.units import Place, Spot, Units, count, move, total

SPOTS = st.builds(
    Spot, place=st.sampled_from(Place), fulfillment_id=st.sampled_from([None, "acme-1"]), parcel_id=st.none()
)
ON_SHELF = Spot(place=Place.RESERVED, fulfillment_id="acme-1")
IN_BOX = Spot(place=Place.PACKED, fulfillment_id="acme-1", parcel_id="acme-1-p1")


@given(st.lists(st.tuples(SPOTS, SPOTS, st.integers(1, 5)), max_size=20))
def test_however_units_are_moved_none_appears_or_goes(moves: list[tuple[Spot, Spot, int]]) -> None:
    units: tuple[Units, ...] = (Units(line_id="L1", spot=Spot(place=Place.PENDING), quantity=7),)
    for source, target, wanted in moves:
        there = count(units, "L1", source)
        if there:
            units = move(units, "L1", min(wanted, there), source, target)
        assert total(units) == 7
        assert all(unit.quantity > 0 for unit in units)
        assert len({unit.spot for unit in units}) == len(units)


def test_units_of_a_line_in_one_spot_are_one_row() -> None:
    units = (
        Units(line_id="L1", spot=ON_SHELF, quantity=2),
        Units(line_id="L1", spot=IN_BOX, quantity=1),
    )
    assert move(units, "L1", 2, ON_SHELF, IN_BOX) == (Units(line_id="L1", spot=IN_BOX, quantity=3),)


def test_moving_units_that_are_not_there_is_a_bug() -> None:
    units = (Units(line_id="L1", spot=ON_SHELF, quantity=2),)
    with pytest.raises(AssertionError, match="3 to move"):
        move(units, "L1", 3, ON_SHELF, IN_BOX)
    with pytest.raises(AssertionError):
        move(units, "L2", 1, ON_SHELF, IN_BOX)
    with pytest.raises(AssertionError):
        move(units, "L1", 0, ON_SHELF, IN_BOX)


def test_moving_units_to_where_they_are_changes_nothing() -> None:
    units = (Units(line_id="L1", spot=ON_SHELF, quantity=2),)
    assert move(units, "L1", 2, ON_SHELF, ON_SHELF) == units
