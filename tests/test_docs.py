"""The documents say what the code does."""

import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

import backend.settings
import bridge.settings
from bridge.status import Status

ROOT = Path(__file__).parent.parent


def section(document: str, name: str) -> str:
    """Return what stands in ``document`` between ``<!-- name -->`` and ``<!-- end -->``."""
    text = (ROOT / document).read_text()
    found = re.search(rf"<!-- {re.escape(name)} -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert found, f"{document} has no section {name!r}"
    return found[1]


def settings_table(settings: type[BaseSettings], prefix: str) -> str:
    lines = ["| variable | default | |", "|---|---|---|"]
    for name, field in settings.model_fields.items():
        default = field.get_default()
        if isinstance(default, bool):
            default = int(default)
        shown = "" if default in (None, "", []) else f"`{default}`"
        lines.append(f"| `{prefix}{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("name", "settings", "prefix"),
    [
        ("settings of the bridge", bridge.settings.Settings, bridge.settings.PREFIX),
        ("settings of the backend", backend.settings.Settings, backend.settings.PREFIX),
    ],
)
def test_every_setting_is_listed(name: str, settings: type[BaseSettings], prefix: str) -> None:
    assert section("docs/operating.md", name) == settings_table(settings, prefix)


def test_every_status_is_listed() -> None:
    rows = ["| code | HTTP | retryable | a browser is told |", "|---|---|---|---|"]
    for status in Status:
        retryable = "yes" if status.retryable else "no"
        told = "a sentence and the request's id" if status.private else "the message"
        cell = "" if status is Status.OK else f"{told} "
        rows.append(f"| {status.name} | {status.http} | {retryable} | {cell}|")
    assert section("docs/wire.md", "status codes") == "\n".join(rows) + "\n"


def test_the_readme_has_the_page_s_streaming_function() -> None:
    source = (ROOT / "bridge/web/stream.js").read_text()
    assert section("README.md", "bridge/web/stream.js") == f"```js\n{source}```\n"


@pytest.mark.parametrize(
    "document", [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], ids=lambda path: path.name
)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target
