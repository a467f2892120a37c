"""The clock by which a workflow task is told from events that have none."""

from workflows.runner import Ages

SECOND = 10**9
TIMEOUT = 10 * SECOND


def test_a_task_older_than_its_timeout_is_over() -> None:
    ages = Ages()
    assert not ages.is_over(SECOND, TIMEOUT)
    assert ages.is_over(11 * SECOND, TIMEOUT)
    assert not ages.is_over(9 * SECOND, TIMEOUT)


def test_the_first_that_a_worker_sees_may_be_over() -> None:
    ages = Ages()
    assert ages.is_over(12 * SECOND, TIMEOUT)
    assert ages.is_over(15 * SECOND, TIMEOUT)


def test_a_clock_ahead_of_the_servers_is_learnt() -> None:
    ages = Ages()
    ahead = 3600 * SECOND
    assert [ages.is_over(ahead + SECOND, TIMEOUT) for _ in range(7)] == [True] * 5 + [False] * 2
    assert ages.is_over(ahead + 12 * SECOND, TIMEOUT)


def test_a_clock_behind_the_servers_is_learnt() -> None:
    ages = Ages()
    behind = -3600 * SECOND
    assert not ages.is_over(behind, TIMEOUT)
    assert ages.is_over(behind + 11 * SECOND, TIMEOUT)


def test_a_task_that_is_taken_in_any_case_counts_as_no_refusal() -> None:
    ages = Ages()
    ages.see(SECOND, TIMEOUT)
    for _ in range(9):
        ages.see(20 * SECOND, TIMEOUT)
    assert ages.is_over(12 * SECOND, TIMEOUT)
