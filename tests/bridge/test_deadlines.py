from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.deadlines import Deadlines, InvalidTimeoutError, requested_total
from bridge.status import Status
from bridge.upstream import RpcError

LIMITS = Deadlines(total=100, first_message=10, between_messages=5)


@pytest.mark.parametrize(
    ("now", "last_message", "message"),
    [
        (9.9, None, None),
        (10, None, "No message came within 10 s."),
        (10, 9, None),
        (14, 9, "No message came for 5 s."),
        (99.9, 99, None),
        (100, 99, "The answer took longer than 100 s."),
        (100, None, "The answer took longer than 100 s."),
    ],
)
def test_the_limit_that_has_passed_is_named(
    now: float, last_message: float | None, message: str | None
) -> None:
    error = LIMITS.passed(now, 0, last_message)
    assert (error and error.message) == message
    assert error is None or error.status is Status.DEADLINE_EXCEEDED


@given(gaps=st.lists(st.integers(0, 8)), first=st.integers(1, 12), between=st.integers(1, 12))
def test_who_checks_when_it_is_time_sees_a_limit_pass_at_once(
    gaps: list[int], first: int, between: int
) -> None:
    limits = Deadlines(total=30, first_message=first, between_messages=between)
    messages = [*accumulate(gaps)]

    def passed(now: float) -> RpcError | None:
        return limits.passed(now, 0, last_before(now))

    def last_before(now: float) -> float | None:
        return max((at for at in messages if at <= now), default=None)

    checks = [0.0]
    while not passed(checks[-1]):
        checks.append(limits.next_check(checks[-1], 0, last_before(checks[-1])))
    assert checks == sorted(set(checks))
    assert checks[-1] == next(now for now in range(31) if passed(now))


def test_a_client_can_shorten_the_total_and_never_lengthen_it() -> None:
    assert LIMITS.shortened(2.5).total == 2.5
    assert LIMITS.shortened(2.5).first_message == 10
    assert LIMITS.shortened(1000) == LIMITS
    assert LIMITS.shortened(None) == LIMITS


@pytest.mark.parametrize(
    ("request_timeout", "grpc_timeout", "seconds"),
    [
        (None, None, None),
        ("3", None, 3),
        ("0.25", None, 0.25),
        (None, "1H", 3600),
        (None, "2M", 120),
        (None, "3S", 3),
        (None, "2500m", 2.5),
        (None, "500000u", 0.5),
        (None, "99999999n", 0.099999999),
        ("3", "2S", 2),
        ("1", "2S", 1),
    ],
)
def test_both_headers_are_understood_and_the_shorter_one_holds(
    request_timeout: str | None, grpc_timeout: str | None, seconds: float | None
) -> None:
    assert requested_total(request_timeout, grpc_timeout) == seconds


@pytest.mark.parametrize("bad", ["", "x", "-1", "0", "0.0", "1e3", "1s", " 1", "1.", "inf", "nan"])
def test_a_bad_request_timeout_is_refused(bad: str) -> None:
    with pytest.raises(InvalidTimeoutError, match="X-Request-Timeout must be seconds above 0"):
        requested_total(bad, None)


@pytest.mark.parametrize("bad", ["", "1", "S", "0S", "1s", "123456789S", "1.5S", "-1S"])
def test_a_bad_grpc_timeout_is_refused(bad: str) -> None:
    with pytest.raises(InvalidTimeoutError, match="grpc-timeout must be a number and a unit"):
        requested_total(None, bad)
