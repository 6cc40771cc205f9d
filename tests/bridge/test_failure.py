import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status as RpcStatus

from bridge.failure import describe
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


def test_the_fields_that_are_wrong_and_the_time_to_wait_are_told() -> None:
    violation = BadRequest.FieldViolation(field="messages[0].role", description="is required")
    details = RpcStatus()
    details.details.add().Pack(BadRequest(field_violations=[violation]))
    details.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)))
    trailers = [("grpc-status-details-bin", details.SerializeToString())]
    error = RpcError(Status.INVALID_ARGUMENT, "why", trailers)
    failure = describe(error, "the-request", show_details=False)
    assert failure.fields == [("messages[0].role", "is required")]
    assert failure.retry_after == 1.5
