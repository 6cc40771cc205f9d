import pytest

from bridge.failure import Failure, describe
from bridge.status import Status
from bridge.upstream import RpcError

NOT_OK = [status for status in Status if status is not Status.OK]


@pytest.mark.parametrize("status", NOT_OK, ids=lambda status: status.name)
def test_a_private_message_is_for_the_log_alone(status: Status) -> None:
    told = describe(RpcError(status, "why"), "the-request", show_details=False).message
    if status.private:
        assert told == "The request failed. Request id: the-request"
    else:
        assert told == "why"


@pytest.mark.parametrize("status", NOT_OK, ids=lambda status: status.name)
def test_a_message_is_never_empty(status: Status) -> None:
    for show_details in (True, False):
        assert describe(RpcError(status), "the-request", show_details=show_details).message


def test_details_are_shown_when_a_setting_says_so() -> None:
    error = RpcError(Status.INTERNAL, "why")
    assert describe(error, "the-request", show_details=True).message == "why"
    lost = RpcError(Status.UNAVAILABLE, cause="ipv4:127.0.0.1:1: refused")
    assert describe(lost, "the-request", show_details=True).message == "ipv4:127.0.0.1:1: refused"


def test_what_the_transport_says_is_never_told() -> None:
    lost = RpcError(Status.UNAVAILABLE, cause="ipv4:127.0.0.1:1: refused")
    told = describe(lost, "the-request", show_details=False).message
    assert told == "The backend is not available."


def test_the_json_has_the_message_the_name_and_whether_to_retry() -> None:
    assert Failure("why", Status.UNAVAILABLE).as_json() == {
        "error": "why",
        "code": "UNAVAILABLE",
        "retryable": True,
    }
