"""The servers that the faults need; as few as can be, since each starts two processes."""

from tests.faults.world import Setup, env

# No retry, so that each stream meets its fault.
PATIENT = Setup(bridge=env(BRIDGE_RETRIES=0))
DIRECT = Setup(bridge=env(BRIDGE_RETRIES=0), direct=True)
RETRYING = Setup(bridge=env(BRIDGE_RETRIES=2))
IMPATIENT = Setup(
    bridge=env(
        BRIDGE_RETRIES=0,
        BRIDGE_FIRST_MESSAGE_DEADLINE=1,
        BRIDGE_MESSAGE_DEADLINE=1,
        BRIDGE_WRITE_TIMEOUT=1,
        BRIDGE_HEARTBEAT=0.2,
    )
)
PROBING = Setup(
    bridge=env(
        BRIDGE_RETRIES=0,
        BRIDGE_KEEPALIVE=1,
        BRIDGE_KEEPALIVE_TIMEOUT=1,
        BRIDGE_FIRST_MESSAGE_DEADLINE=15,
        BRIDGE_MESSAGE_DEADLINE=15,
    )
)
HURRIED = Setup(bridge=env(BRIDGE_REQUEST_TIMEOUT=1))
DEFECTIVE = Setup(bridge=env(FAULTS_DEFECT=1))
LIMITED = Setup(
    bridge=env(
        BRIDGE_MAX_STREAMS=8,
        BRIDGE_MAX_STREAMS_PER_CLIENT=5,
        BRIDGE_MAX_BODY_BYTES=50_000,
        BRIDGE_MAX_MESSAGE_BYTES=10_000,
    )
)


def with_grace(seconds: int) -> Setup:
    """Return servers of which the bridge gives its streams ``seconds`` at SIGTERM."""
    return Setup(bridge=env(BRIDGE_RETRIES=0, BRIDGE_SHUTDOWN_GRACE=seconds))
