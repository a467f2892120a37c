"""The clock by which a workflow task is told from events that have none."""

from workflows.runner import TaskAges

SECOND = 10**9
TIMEOUT = 10 * SECOND
STEP = 2.5


class _Clock:
    """Of a worker, which sees another task every `STEP` seconds; each is as old as is said by this clock."""

    def __init__(self) -> None:
        self._ages = TaskAges()
        self._now = 1_800_000_000 * SECOND

    def is_over(self, age_seconds: float) -> bool:
        return self._ages.is_over(*self._task(age_seconds))

    def sees(self, age_seconds: float) -> None:
        self._ages.see(*self._task(age_seconds))

    def asked_again(self, age_seconds: float, times: int) -> list[bool]:
        """Of one task, which grows older meanwhile."""
        started, now, timeout = self._task(age_seconds)
        return [self._ages.is_over(started, now + number * SECOND, timeout) for number in range(times)]

    def at_once(self, *ages: float) -> list[bool]:
        """Of so many tasks."""
        started, now, timeout = self._task(0)
        return [self._ages.is_over(started - int(age * SECOND), now, timeout) for age in ages]

    def _task(self, age_seconds: float) -> tuple[int, int, int]:
        self._now += int(STEP * SECOND)
        return self._now - int(age_seconds * SECOND), self._now, TIMEOUT


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


def test_a_clock_that_is_set_forward_is_learnt_anew() -> None:
    clock = _Clock()
    assert not clock.is_over(-3600)
    assert [clock.is_over(0.1) for _ in range(600)] == [True] * 5 + [False] * 595
    assert clock.is_over(11)


def test_a_clock_that_is_set_forward_twice_is_learnt_in_the_end() -> None:
    clock = _Clock()
    assert not clock.is_over(1)
    assert [clock.is_over(100) for _ in range(3)] == [True] * 3
    assert [clock.is_over(200) for _ in range(6)] == [True] * 5 + [False]


def test_a_clock_that_is_set_back_costs_nothing() -> None:
    clock = _Clock()
    assert [clock.is_over(3601) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [clock.is_over(0.1) for _ in range(9)] == [False] * 9
    assert clock.is_over(11)


def test_one_task_that_is_over_is_so_however_often_it_is_asked_for() -> None:
    assert _Clock().asked_again(12, times=20) == [True] * 20


def test_many_tasks_of_a_dead_worker_that_are_asked_for_at_once_tell_nothing_of_the_clock() -> None:
    clock = _Clock()
    assert clock.at_once(*(12 + number / 10 for number in range(20))) == [True] * 20
    assert not clock.is_over(1)
    assert clock.is_over(12)


def test_a_task_that_is_taken_in_any_case_counts_as_no_refusal() -> None:
    clock = _Clock()
    clock.sees(1)
    for _ in range(9):
        clock.sees(20)
    assert clock.is_over(12)
