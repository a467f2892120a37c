"""Timeouts and retries: one set per kind of outside thing, each with its reason."""

from datetime import timedelta
from typing import NamedTuple

from temporalio.common import RetryPolicy


class Patience(NamedTuple):
    """How long one try may take, how often and how fast it is tried again, and whose queue it waits in."""

    one_try: timedelta
    retries: RetryPolicy
    all_tries: timedelta | None = None
    party: str | None = None
    heartbeat: timedelta | None = None


# PostgreSQL answers in milliseconds. Longer local retries would keep the workflow task busy and
# starve queries and updates, so a local step gives up after three tries within two seconds.
STORE_LOCAL = Patience(
    one_try=timedelta(seconds=1.5),
    all_tries=timedelta(seconds=2),
    retries=RetryPolicy(
        initial_interval=timedelta(milliseconds=50),
        backoff_coefficient=4,
        maximum_interval=timedelta(milliseconds=400),
        maximum_attempts=3,
    ),
)

# The same step while PostgreSQL is away: patient, outside of any workflow task, for ever.
STORE_PATIENT = Patience(
    one_try=timedelta(seconds=10),
    retries=RetryPolicy(
        initial_interval=timedelta(milliseconds=500),
        maximum_interval=timedelta(seconds=5),
    ),
)

# A payment provider says yes or no within a second. While it is asked the order answers nobody, so there is one try.
OUTSIDE_LOCAL = Patience(
    one_try=timedelta(seconds=2),
    all_tries=timedelta(seconds=2.5),
    retries=RetryPolicy(maximum_attempts=1),
)

# Money must move exactly once and will in the end: keyed calls, retried for ever.
PAYMENT = Patience(
    party="payments",
    one_try=timedelta(seconds=10),
    retries=RetryPolicy(
        initial_interval=timedelta(milliseconds=500),
        maximum_interval=timedelta(seconds=30),
    ),
)

# A label can wait for its carrier, the parcel is packed already.
CARRIER = Patience(
    party="carriers",
    one_try=timedelta(seconds=10),
    retries=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
    ),
)

# The network plans in hours; a minute more between tries costs nothing.
NETWORK = Patience(
    party="network",
    one_try=timedelta(seconds=10),
    retries=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
    ),
)

# Reconciliation looks at all open orders, page by page, and tells the engine that it lives. A run that fails is
# followed by the next one of the schedule.
RECONCILE_LOOK = Patience(
    one_try=timedelta(minutes=5),
    heartbeat=timedelta(seconds=60),
    all_tries=timedelta(minutes=10),
    retries=RetryPolicy(
        initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30), maximum_attempts=5
    ),
)

# One order that cannot be mended now must not keep the others from it.
RECONCILE = Patience(
    one_try=timedelta(seconds=20),
    all_tries=timedelta(minutes=1),
    retries=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10)),
)
RECONCILE_PAYMENT = RECONCILE._replace(party="payments", one_try=timedelta(seconds=10))
