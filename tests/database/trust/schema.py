"""The API's own description, read as the tests need it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator


@dataclass(frozen=True)
class Described:
    """One operation as the description has it."""

    id: str
    method: str
    path: str
    body: dict[str, Any]
    query: tuple[str, ...]


@cache
def document() -> dict[str, Any]:
    schema = SchemaGenerator().get_schema(public=True)
    assert isinstance(schema, dict)
    return schema


def resolved(part: Any) -> Any:
    """Follow references to where they lead."""
    while isinstance(part, dict) and "$ref" in part:
        found: Any = document()
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    if isinstance(part, dict) and len(part.get("allOf", ())) == 1:
        return resolved(part["allOf"][0])
    return part


def operations_of_schema() -> list[Described]:
    return list(_operations())


def pattern_of(path: str) -> str:
    """Return a described path as the site's addresses are written."""
    kinds = {"public_id": "uuid", "kind": "slug", "drug": "slug", "on": "str", "procedure": "uuid"}
    return re.sub(r"\{(\w+)\}", lambda found: f"<{kinds[found[1]]}:{found[1]}>", path)


def _operations() -> Iterator[Described]:
    for path, methods in document()["paths"].items():
        for method, said in methods.items():
            if not isinstance(said, dict) or "operationId" not in said:
                continue
            content = said.get("requestBody", {}).get("content", {}).get("application/json", {})
            query = tuple(each["name"] for each in said.get("parameters", ()) if each["in"] == "query")
            yield Described(said["operationId"], method.upper(), path, resolved(content.get("schema", {})), query)
