"""What an installation has: the bridge alone, without a model and without a backend's packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge import __version__

ROOT = Path(__file__).parent.parent
UV = Path(sys.executable).with_name("uv")


def run(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package as locked, with no extra and not editable; return its `bin`."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    assert run(sys.executable, "-m", "venv", "--without-pip", venv).returncode == 0
    sync = run(
        *(UV, "sync", "--locked", "--no-default-groups", "--no-editable", "--quiet"),
        UV_PROJECT_ENVIRONMENT=str(venv),
        VIRTUAL_ENV="",
    )
    assert sync.returncode == 0, sync.stderr
    return venv / "bin"


def test_the_bridge_runs_without_any_extra(installed: Path) -> None:
    assert run(installed / "bridge", "--version").stdout == f"bridge {__version__}\n"
    served = run(installed / "bridge", "serve", "--help")
    assert served.returncode == 0


def test_the_wheel_has_the_generated_code_the_page_and_the_types(installed: Path) -> None:
    (packages,) = installed.parent.glob("lib/python3*/site-packages")
    for name in (
        "protos/completion/v1/completion_pb2.py",
        "protos/completion/v1/completion_pb2.pyi",
        "protos/completion/v1/completion_pb2_grpc.py",
        "protos/completion/v1/completion.proto",
        "protos/py.typed",
        "bridge/py.typed",
        "backend/py.typed",
        "bridge/web/index.html",
        "bridge/web/explorer.html",
        "bridge/web/explorer/app.js",
        "bridge/web/stream.js",
        "bridge/web/wires/ollama.js",
    ):
        assert (packages / name).is_file(), name
    assert not (packages / "xllamacpp").exists()
    assert not (packages / "tests").exists()


def test_a_backend_without_its_extra_says_what_to_install(installed: Path) -> None:
    refused = run(installed / "backend", "serve")
    assert refused.returncode == 1
    assert refused.stderr.startswith("The backend needs ")
    assert refused.stderr.endswith(": pip install 'grpc-sse-bridge[backend]'\n")
