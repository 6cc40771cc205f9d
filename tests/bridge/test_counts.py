"""What the workers count together, so that a limit holds for all of them."""

import pytest

from bridge.access.counts import Counts, OwnCounts, SharedCounts


def counts_of(workers: int) -> list[Counts]:
    """Return two views: of the only process, or of the first and the last of so many workers."""
    if workers == 1:
        return [OwnCounts()] * 2
    shared = SharedCounts(workers, by_client=True)
    return [shared.of_worker(0), shared.of_worker(workers - 1)]


@pytest.mark.parametrize("workers", [1, 2, 256])
def test_streams_are_counted_in_all_and_of_each_client(workers: int) -> None:
    one, other = counts_of(workers)
    for counts in (one, other, other):
        counts.add("192.0.2.1")
    one.add("2001:db8::1")
    for counts in (one, other):
        assert counts.streams() == 4
        assert counts.streams_of("192.0.2.1") == 3
        assert counts.streams_of("2001:db8::1") == 1
        assert counts.streams_of("192.0.2.2") == 0
    for counts in (one, other, other):
        counts.remove("192.0.2.1")
    assert one.streams() == other.streams() == 1
    assert one.streams_of("192.0.2.1") == other.streams_of("192.0.2.1") == 0


def test_connections_of_all_workers_are_added_up() -> None:
    one, other = counts_of(2)
    assert one.connections(3) == 3
    assert other.connections(4) == 7
    assert one.connections(2) == 6


def test_what_a_dead_worker_had_open_is_forgotten() -> None:
    shared = SharedCounts(3, by_client=True)
    before, dead, after = (shared.of_worker(number) for number in range(3))
    for number, counts in enumerate((before, dead, after), 1):
        counts.connections(number)
        counts.add("192.0.2.1")
    shared.clear(1)
    assert before.streams() == 2
    assert before.streams_of("192.0.2.1") == 2
    assert before.connections(1) == 4


def test_a_client_is_not_taken_for_others_at_their_limits() -> None:
    shared = SharedCounts(2, by_client=True)
    one, other = shared.of_worker(0), shared.of_worker(1)
    for number in range(1000):
        for counts in (one, other):
            counts.add(f"2001:db8::{number:x}")
    # By chance one shares all its cells with some of them once in a million times.
    assert [one.streams_of(f"198.51.100.{number}") for number in range(10)] == [0] * 10
    assert one.streams_of("2001:db8::1") == 2
