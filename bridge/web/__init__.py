"""The pages, in plain files that a browser gets as they are.

One is a conversation with a model. The other is an explorer of the services that are exposed.
"""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

# One source for everything, and nothing inline. Trusted Types make the browser itself refuse
# to read a string as HTML (https://www.w3.org/TR/trusted-types/).
_CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)

_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": _CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

_SUFFIXES = frozenset({".css", ".html", ".js", ".svg"})


class _Assets(StaticFiles):
    """Serves the files beside this module that are meant for a browser."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        if Path(path).suffix not in _SUFFIXES:
            return "", None
        return super().lookup_path(path)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_HEADERS)
        return response


_assets = _Assets(directory=Path(__file__).parent)


async def _chat(request: Request) -> Response:
    return await _assets.get_response("index.html", request.scope)


async def _explorer(request: Request) -> Response:
    return await _assets.get_response("explorer.html", request.scope)


router = APIRouter(include_in_schema=False)
router.add_route("/", _chat, include_in_schema=False)
router.add_route("/explorer", _explorer, include_in_schema=False)
router.mount("/web", _assets)
