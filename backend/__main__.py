"""Runs the command line: ``python -m backend``."""

from __future__ import annotations

import sys

try:
    from backend.cli import main
except ModuleNotFoundError as missing:
    # The bridge can be installed without what only the backend needs.
    sys.exit(f"The backend needs {missing.name}: pip install 'grpc-sse-bridge[backend]'")

if __name__ == "__main__":
    main()
