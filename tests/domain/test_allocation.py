"""No unit is given twice, none is invented, and nobody is short beside stock that it could have."""

from hypothesis import given
from hypothesis import strategies as st

from domain.allocation import Level, allocate
from domain.effects import Want
from domain.placing import Channel

_SKUS = st.sampled_from(("mug", "jug"))
_PLACES = ("near", "far", "away")
_WANTS = st.lists(st.tuples(_SKUS, st.integers(1, 9), st.sets(st.sampled_from(_PLACES))), max_size=6)
_LEVELS = st.dictionaries(st.tuples(st.sampled_from(_PLACES), _SKUS), st.integers(0, 9))


def _levels(available: dict[tuple[str, str], int]) -> list[Level]:
    return [
        Level(location=place, seller="s", sku=sku, channel=Channel.FBM, priority=_PLACES.index(place), available=units)
        for (place, sku), units in available.items()
    ]


@given(_WANTS, _LEVELS)
def test_units_are_conserved(wanted: list[tuple[str, int, set[str]]], there: dict[tuple[str, str], int]) -> None:
    wants = [
        Want(line_id=str(n), seller="s", channel=Channel.FBM, sku=sku, quantity=quantity, barred=tuple(barred))
        for n, (sku, quantity, barred) in enumerate(wanted)
    ]
    takes, short = allocate(wants, _levels(there))
    left = dict(there)
    for take in takes:
        assert take.quantity > 0
        left[take.location, take.sku] -= take.quantity
    assert all(units >= 0 for units in left.values())
    for want in wants:
        mine = [take for take in takes if take.line_id == want.line_id]
        assert sum(take.quantity for take in mine) + short.get(want.line_id, 0) == want.quantity
        assert all(take.location not in want.barred and take.sku == want.sku for take in mine)
        if want.line_id in short:
            assert not any(
                units and sku == want.sku and place not in want.barred for (place, sku), units in left.items()
            )


def test_the_other_channel_has_nothing_to_give() -> None:
    (level,) = _levels({("near", "mug"): 5})
    want = Want(line_id="1", seller="s", channel=Channel.FBA, sku="mug", quantity=1)
    assert allocate([want], [level]) == ((), {"1": 1})
