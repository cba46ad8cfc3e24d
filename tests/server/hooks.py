"""What Schemathesis has to be told: of lines of JSON, whose media type it does not know, and of the models there are."""

from __future__ import annotations

from typing import Any

import schemathesis
from conftest import MODELS


@schemathesis.serializer("application/x-ndjson")
def serialize(_context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


@schemathesis.deserializer("application/x-ndjson", "text/html", "text/css", "text/javascript")
def deserialize(_context: Any, response: Any) -> str:
    return response.content.decode()


@schemathesis.hook
def map_path_parameters(_context: Any, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Every other name becomes that of a model: the document, which anybody may read, names none."""
    name = (parameters or {}).get("model")
    if isinstance(name, str) and len(name) % 2:
        return {**parameters, "model": MODELS[len(name) // 2 % len(MODELS)]}
    return parameters
