"""How the page's files are served, and what its security policy stops."""

from __future__ import annotations

import httpx
import pytest

from tests.browser.chat import Chat

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}

FILES = [
    ("/", "text/html"),
    ("/explorer", "text/html"),
    ("/web/style.css", "text/css"),
    ("/web/app.js", "text/javascript"),
    ("/web/stream.js", "text/javascript"),
    ("/web/wires/ollama.js", "text/javascript"),
    ("/web/explorer/app.js", "text/javascript"),
    ("/web/explorer/style.css", "text/css"),
    ("/web/icon.svg", "image/svg+xml"),
]


@pytest.mark.parametrize(("path", "media_type"), FILES)
async def test_headers(http: httpx.AsyncClient, path: str, media_type: str) -> None:
    response = await http.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"].split(";")[0] == media_type
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-cache"
    policy = response.headers["content-security-policy"].split("; ")
    assert dict(directive.split(" ", 1) for directive in policy) == POLICY


@pytest.mark.parametrize(("path", "_"), FILES)
async def test_what_has_not_changed_is_not_sent_again(
    http: httpx.AsyncClient, path: str, _: str
) -> None:
    etag = (await http.get(path)).headers["etag"]
    response = await http.get(path, headers={"if-none-match": etag})
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == etag
    assert response.headers["cache-control"] == "no-cache"


async def test_head(http: httpx.AsyncClient) -> None:
    response = await http.head("/")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize(
    "path",
    ["__init__.py", "", "nothing.js", "%2e%2e/app.py", "..%2f..%2fpyproject.toml", "app.js%00"],
)
async def test_nothing_else_is_served(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(f"/web/{path}")).status_code == 404


async def test_the_pages_are_not_in_the_schema(http: httpx.AsyncClient) -> None:
    paths = (await http.get("/openapi.json")).json()["paths"]
    assert not [path for path in paths if path in ("/", "/explorer") or path.startswith("/web")]


@pytest.mark.parametrize(
    ("attack", "directive"),
    [
        (
            "document.body.append(Object.assign(document.createElement('style'), "
            "{ textContent: '* { color: red }' }))",
            "style-src-elem",
        ),
        ("import('data:text/javascript,1').catch(() => {})", "script-src-elem"),
        ("fetch('http://127.0.0.2:9/').catch(() => {})", "connect-src"),
        (
            "document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.2:9/' }))",
            "img-src",
        ),
        ("try { document.body.innerHTML = '<b>' } catch {}", "require-trusted-types-for"),
        (
            "document.head.append(Object.assign(document.createElement('base'), { href: '/x/' }))",
            "base-uri",
        ),
    ],
)
async def test_the_policy_holds(chat: Chat, attack: str, directive: str) -> None:
    violated = await chat.page.evaluate(
        f"""() => new Promise((resolve) => {{
            const tell = (event) => resolve(event.effectiveDirective);
            addEventListener("securitypolicyviolation", tell);
            setTimeout(resolve, 3000, "nothing");
            {attack};
        }})"""
    )
    assert violated == directive
    assert chat.problems
    chat.problems.clear()
