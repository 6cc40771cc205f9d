import grpc
import pytest

from bridge.status import Status


def test_the_table_has_every_code_of_grpc_with_its_number_and_name() -> None:
    assert {(s.code, s.name) for s in Status} == {(c.value[0], c.name) for c in grpc.StatusCode}


@pytest.mark.parametrize(
    ("status", "http"),
    [
        (Status.OK, 200),
        (Status.CANCELLED, 499),
        (Status.UNKNOWN, 500),
        (Status.INVALID_ARGUMENT, 400),
        (Status.DEADLINE_EXCEEDED, 504),
        (Status.NOT_FOUND, 404),
        (Status.ALREADY_EXISTS, 409),
        (Status.PERMISSION_DENIED, 403),
        (Status.UNAUTHENTICATED, 401),
        (Status.RESOURCE_EXHAUSTED, 429),
        (Status.FAILED_PRECONDITION, 400),
        (Status.ABORTED, 409),
        (Status.OUT_OF_RANGE, 400),
        (Status.UNIMPLEMENTED, 501),
        (Status.INTERNAL, 500),
        (Status.UNAVAILABLE, 503),
        (Status.DATA_LOSS, 500),
    ],
)
def test_http_statuses_are_those_of_google_rpc_code_proto(status: Status, http: int) -> None:
    assert status.http == http


def test_what_may_pass_by_itself_is_retryable() -> None:
    assert {s.name for s in Status if s.retryable} == {
        "DEADLINE_EXCEEDED",
        "RESOURCE_EXHAUSTED",
        "ABORTED",
        "UNAVAILABLE",
    }


def test_the_codes_that_speak_of_a_server_s_inside_are_private() -> None:
    assert {s.name for s in Status if s.private} == {"UNKNOWN", "INTERNAL", "DATA_LOSS"}


def test_every_status_has_a_sentence() -> None:
    assert all(status.sentence.endswith(".") for status in Status)


def test_a_number_that_grpc_does_not_define_is_unknown() -> None:
    assert Status.from_code(17) is Status.UNKNOWN
    assert Status.from_code(-1) is Status.UNKNOWN
    assert [Status.from_code(code).code for code in range(17)] == list(range(17))
