"""The clock by which a workflow task is told from events that have none."""

from itertools import count

from workflows.runner import Ages

SECOND = 10**9
TIMEOUT = 10 * SECOND
NOW = 1_800_000_000 * SECOND


class _Clock:
    """Of a worker. Each task is another one, as old as is said by this clock."""

    def __init__(self) -> None:
        self._ages = Ages()
        self._numbers = count()

    def is_over(self, age_seconds: float) -> bool:
        return self._ages.is_over(*self._task(age_seconds))

    def sees(self, age_seconds: float) -> None:
        self._ages.see(*self._task(age_seconds))

    def asked_again(self, age_seconds: float, times: int) -> list[bool]:
        """Of one task, which grows older meanwhile."""
        started = NOW - int(age_seconds * SECOND)
        return [self._ages.is_over(started, NOW + number * SECOND, TIMEOUT) for number in range(times)]

    def _task(self, age_seconds: float) -> tuple[int, int, int]:
        now = NOW + next(self._numbers)
        return now - int(age_seconds * SECOND), NOW + next(self._numbers), TIMEOUT


def test_a_task_older_than_its_timeout_is_over() -> None:
    clock = _Clock()
    assert not clock.is_over(1)
    assert clock.is_over(11.1)
    assert not clock.is_over(9)


def test_the_first_that_a_worker_sees_may_be_over() -> None:
    clock = _Clock()
    assert clock.is_over(12)
    assert clock.is_over(15)


def test_a_clock_ahead_of_the_servers_is_learnt() -> None:
    clock = _Clock()
    assert [clock.is_over(3601) for _ in range(7)] == [True] * 5 + [False] * 2
    assert clock.is_over(3612)


def test_a_clock_behind_the_servers_is_learnt() -> None:
    clock = _Clock()
    assert not clock.is_over(-3600)
    assert clock.is_over(-3589)


def test_a_clock_that_is_set_forward_costs_five_tasks() -> None:
    clock = _Clock()
    assert not clock.is_over(-3600)
    assert [clock.is_over(0.1) for _ in range(600)] == [True] * 5 + [False] * 595
    assert clock.is_over(11)


def test_a_clock_that_is_set_back_costs_none() -> None:
    clock = _Clock()
    assert [clock.is_over(3601) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [clock.is_over(0.1) for _ in range(9)] == [False] * 9
    assert clock.is_over(11)


def test_one_task_that_is_over_is_so_however_often_it_is_asked_for() -> None:
    clock = _Clock()
    assert clock.asked_again(12, times=20) == [True] * 20


def test_a_task_that_is_taken_in_any_case_counts_as_no_refusal() -> None:
    clock = _Clock()
    clock.sees(1)
    for _ in range(9):
        clock.sees(20)
    assert clock.is_over(12)
