"""How a gRPC status is told."""

import grpc
from google.rpc import error_details_pb2, status_pb2

from backend.status import RpcError, bad_request, retry_info


def test_details_travel_in_a_google_rpc_status() -> None:
    error = RpcError(grpc.StatusCode.UNAVAILABLE, "Away.", [retry_info(1.5)])
    ((key, packed),) = error.trailing_metadata()
    assert key == "grpc-status-details-bin"
    status = status_pb2.Status.FromString(packed)
    assert (status.code, status.message) == (14, "Away.")
    (detail,) = status.details
    retry = error_details_pb2.RetryInfo()
    assert detail.Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 1500


def test_a_status_without_details_has_no_metadata() -> None:
    assert RpcError(grpc.StatusCode.UNAVAILABLE, "Away.").trailing_metadata() == ()


def test_at_most_16_violations_are_told() -> None:
    error = bad_request([(f"f{index}", "is wrong") for index in range(17)])
    assert error.message.startswith("f0: is wrong; f1: is wrong; ")
    assert error.message.endswith("f15: is wrong; and 1 more")
    (detail,) = error.details
    assert isinstance(detail, error_details_pb2.BadRequest)
    assert len(detail.field_violations) == 16
