"""Generates the Python code of the schema when a wheel or an editable install is built.

Also runs by itself: ``python hatch_build.py`` generates into the work tree.
"""

from __future__ import annotations

import importlib.resources
import re
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
PROTOS = ROOT / "protos"

# protoc names a Python module after the file's path below the include path. A `completion`
# package at the top of site-packages could be anybody's: ours live in `protos`.
_OWN_MODULE = re.compile(r"^(from |import |_builder\..*')(completion\.)", re.MULTILINE)


def generate() -> None:
    """Write ``*_pb2.py``, ``*_pb2_grpc.py`` and their stubs beside each ``.proto``.

    Raises:
        SystemExit: protoc refused a file; it has said why on stderr.
    """
    from grpc_tools import protoc

    well_known = importlib.resources.files("grpc_tools") / "_proto"
    files = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    scripts = Path(sysconfig.get_path("scripts"))
    plugins = [f"--plugin={scripts / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    outs = [f"--{plugin}_out={PROTOS}" for plugin in ("python", "grpc_python", "mypy", "mypy_grpc")]
    failed = protoc.main(["protoc", f"-I{PROTOS}", f"-I{well_known}", *plugins, *outs, *files])
    if failed:
        raise SystemExit(failed)
    for generated in PROTOS.rglob("*_pb2*.py*"):
        if generated.suffix in {".py", ".pyi"}:
            generated.write_text(_OWN_MODULE.sub(r"\1protos.\2", generated.read_text()))


class GenerateProtos(BuildHookInterface[Any]):
    """The build hook that hatchling calls before it collects files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate; ``artifacts`` in pyproject.toml lets the untracked files in."""
        generate()


if __name__ == "__main__":
    generate()
