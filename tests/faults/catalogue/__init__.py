"""Every fault, those with the same servers one after the other."""

from tests.faults.catalogue import backends, network
from tests.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (*backends.FAULTS, *network.FAULTS)
