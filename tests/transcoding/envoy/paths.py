"""The paths of the echo service."""

from __future__ import annotations

# The method, the template, and the kind of its body.
PATHS = (
    ("GET", "/v1/one/{}", ""),
    ("POST", "/v1/one/{}", "object"),
    ("PUT", "/v1/one/{}/of/{}", "object"),
    ("PATCH", "/v1/texts/{}", "texts"),
    ("POST", "/v1/text", "text"),
    ("GET", "/v1/shelves/{}/books/{}", ""),
    ("GET", "/v1/files/{}/{}", ""),
    ("GET", "/v1/files/{}:archive", ""),
    ("GET", "/v1/files", ""),
    ("POST", "/v1/one/{}:cancel", "object"),
    ("GET", "/v1/one/mine", ""),
    ("GET", "/v1/any/{}/{}/{}/{}", ""),
    ("REPORT", "/v1/all", ""),
    ("DELETE", "/v1/all", ""),
    ("GET", "/v1/all", ""),
    ("POST", "/v1/all", "object"),
    ("GET", "/v1/only/inner", ""),
    ("GET", "/v1/only/texts", ""),
    ("GET", "/v1/only/text", ""),
    ("GET", "/v1/many", ""),
    ("POST", "/v1/many", "counted"),
    ("POST", "/v1/sum", "stream"),
    ("POST", "/v1/talk", "stream"),
    ("POST", "/v1/content/{}", "content"),
    ("POST", "/echo.v1.Echo/Plain", "object"),
    ("POST", "/echo.v1.Echo/Plain", "counted"),
)
TYPED_PATHS = (
    ("/v1/numbers/{}/{}/{}", ("int32", "uint64", "double")),
    ("/v1/others/{}/{}/{}", ("bool", "enum", "bytes")),
    ("/v1/known/{}/{}/{}", ("time", "duration", "int64")),
)
