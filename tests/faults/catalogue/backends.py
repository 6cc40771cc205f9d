"""A backend that fails, is silent, or says too much."""

from __future__ import annotations

import grpc

from tests.faults.client import scripted
from tests.faults.endings import FINISHED, failed
from tests.faults.fault import Fault, Side, asking
from tests.faults.world import Setup, env

PATIENT = Setup(bridge=env(BRIDGE_RETRIES=0))


def _fails_with(code: str, after: int) -> Fault:
    request = scripted(
        {"text": "a", "count": 3, "interval_ms": 10, "fail": {"code": code, "after": after}},
        due=after * 0.01,
    )
    name = f"backend fails with {code} after {after} messages"
    return Fault(name, Side.BACKEND, frozenset({failed(code)}), asking(request), PATIENT)


CODES = [code.name for code in grpc.StatusCode if code is not grpc.StatusCode.OK]

FAULTS = (
    Fault(
        "none: the RPC finishes",
        Side.BACKEND,
        frozenset({FINISHED}),
        asking(scripted({"text": "a", "count": 20, "interval_ms": 10}, due=0.19)),
        PATIENT,
    ),
    *(_fails_with(code, after) for code in CODES for after in (0, 1, 3)),
)
