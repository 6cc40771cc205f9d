"""Runs the command line: ``python -m backend``."""

from __future__ import annotations

import os
import sys

# gRPC's core writes to stderr what it thinks of its peers, past our log and its format, unless it
# finds this when it is loaded.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

try:
    from backend.cli import main
except ModuleNotFoundError as missing:
    # The bridge can be installed without what only the backend needs.
    sys.exit(f"The backend needs {missing.name}: pip install 'grpc-sse-bridge[backend]'")

if __name__ == "__main__":
    main()
