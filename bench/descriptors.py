"""The descriptor sets of the protos that the bench speaks."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parent.parent
COMPLETION = "completion/v1/completion.proto"
TRADES = "bench/trades.proto"


def write_descriptors(path: Path, *protos: str) -> None:
    """Write the descriptor set of ``protos``, with all that they import, to ``path``.

    Raises:
        RuntimeError: protoc refuses them.
    """
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    failed = protoc.main(
        [
            "protoc",
            f"-I{ROOT / 'protos'}",
            f"-I{ROOT}",
            f"-I{well_known}",
            "--include_imports",
            f"--descriptor_set_out={path}",
            *protos,
        ]
    )
    if failed:
        raise RuntimeError("protoc refused the schema")
