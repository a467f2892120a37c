"""How long the stages of an order take, kept as counts per bucket from which a median can still be told.

A bucket reaches from `GROWTH` to the power of its number to the next power, in seconds. A quantile is told as the
middle of its bucket (geometrically), so that it is off by less than 5 percent, however many orders there are and
whichever days are added up. Means are exact: sums are kept beside the buckets.
"""

import math
from collections.abc import Mapping
from enum import StrEnum

GROWTH = 1.1
PRECISION = 0.05
"""The most by which a quantile may be off, as a share of it."""


class Stage(StrEnum):
    """What a stage ends with."""

    CONFIRMED = "confirmed"
    PACKED = "packed"
    HANDED_OVER = "handed_over"
    DELIVERED = "delivered"


STAGES: Mapping[Stage, str] = {
    Stage.CONFIRMED: "placed to confirmed",
    Stage.PACKED: "confirmed to packed",
    Stage.HANDED_OVER: "packed to handed over",
    Stage.DELIVERED: "handed over to delivered",
}
"""In the order in which an order goes through them."""


def bucket_of(seconds: float) -> int:
    """All that takes less than a second is in the first bucket, 0. The store's SQL says the same."""
    return math.floor(math.log(max(seconds, 1.0)) / math.log(GROWTH))


def middle_of(bucket: int) -> float:
    """Seconds; equally far from both ends of the bucket, as a ratio."""
    return math.pow(GROWTH, bucket + 0.5)


def quantile(buckets: Mapping[int, int], q: float) -> float:
    """Seconds that a share `q` of all took at most: the nearest rank, within `PRECISION`. Of nothing there is none."""
    assert 0 < q <= 1, q
    assert any(buckets.values()), buckets
    rank = math.ceil(q * sum(buckets.values()))
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            return middle_of(bucket)
    raise AssertionError(buckets)
