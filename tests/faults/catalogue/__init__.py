"""Every fault, those with the same servers one after the other."""

from tests.faults.catalogue import backends, clients, hostile, lifecycle, network
from tests.faults.fault import Fault

_ALL = (*backends.FAULTS, *network.FAULTS, *clients.FAULTS, *hostile.FAULTS, *lifecycle.FAULTS)
_SETUPS = list(dict.fromkeys(fault.setup for fault in _ALL))

FAULTS: tuple[Fault, ...] = tuple(sorted(_ALL, key=lambda fault: _SETUPS.index(fault.setup)))
