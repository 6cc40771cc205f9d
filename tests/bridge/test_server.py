"""What a process does that serves, and nothing else."""

from __future__ import annotations

import subprocess
import sys

SHOW = """
import gc

from bridge.app import create_app
from bridge.server import Server
from bridge.settings import Settings


class Shown(Server):
    async def startup(self, sockets=None):
        print(gc.get_freeze_count())
        self.should_exit = True


settings = Settings()
Shown(create_app(settings), settings).run([])
"""


def test_the_collector_does_not_look_at_what_is_loaded() -> None:
    shown = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True)
    assert int(shown.stdout) > 10_000
