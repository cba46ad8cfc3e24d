"""What Schemathesis has to be told about lines of JSON: it does not know their media type."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def serialize(_context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


@schemathesis.deserializer("application/x-ndjson", "text/html", "text/css", "text/javascript")
def deserialize(_context: Any, response: Any) -> str:
    return response.content.decode()
