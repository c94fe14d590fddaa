"""Which parts of a JSON schema a grammar made of it does not hold a reply to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from playground.domain.gbnf import place_of
from playground.domain.json_places import Step, offset_of
from playground.domain.json_schemas import check_json_schema, inner_schemas, shown_path

_SAY_NOTHING: Final = frozenset(
    (
        *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "type"),
        *("$schema", "$id", "id", "$comment", "$anchor", "$defs", "definitions"),
    )
)
"""Keywords that ask nothing of a value; `type` is held wherever another keyword does not say more."""
_FORMATS: Final = frozenset(("date", "time", "date-time", "uuid", "uuid1", "uuid2", "uuid3", "uuid4", "uuid5"))
_RANGE: Final = frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"))
_MOST: Final = 6
"""Keywords that are named; how many more there are is told."""


class Unheld(NamedTuple):
    """A keyword without effect."""

    keyword: str
    where: str
    """Such as "$.properties.age"."""
    line: int
    """From 1, as the column."""
    column: int


@lru_cache(maxsize=32)
def unheld_keywords(text: str) -> tuple[Unheld, ...]:
    """Keywords of a schema that a grammar does not hold a reply to, in the order of the text.

    Raises GrammarError for a schema that cannot be used.
    """
    check_json_schema(text)
    found = []
    for path in _unheld(json.loads(text), ()):
        line, column = place_of(text, offset_of(text, path))
        found.append(Unheld(str(path[-1]), shown_path(path[:-1]), line, column))
    return tuple(sorted(found, key=lambda one: (one.line, one.column)))


def unheld_note(text: str) -> str:
    """One sentence about them; empty when everything is held."""
    found = unheld_keywords(text)
    if not found:
        return ""
    named = ", ".join(f"{one.keyword} (line {one.line}, at {one.where})" for one in found[:_MOST])
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return f"A local model is not held to all of this JSON schema; its reply may break {named}{more}."


def says_what(schema: Mapping[str, Any]) -> bool:
    """Whether a schema has anything from which a grammar can be made."""
    return not schema or "type" in schema or bool(held_keywords(schema))


def held_keywords(schema: Mapping[str, Any]) -> frozenset[str]:
    """The keywords of a schema, without those inside it, that llama-cpp-python's converter and ours make rules of."""
    kind = schema.get("type")
    if "$ref" in schema:
        return frozenset(("$ref",))
    for name in ("oneOf", "anyOf", "const", "enum"):
        if name in schema:
            return frozenset((name,))
    if isinstance(kind, list):
        return frozenset().union(*(held_keywords({**schema, "type": one}) for one in kind))
    if kind in (None, "object") and ("properties" in schema or schema.get("additionalProperties", True) is not True):
        return frozenset(("properties", "required", "additionalProperties"))
    if kind in (None, "object") and "allOf" in schema:
        return frozenset(("allOf",))
    if kind in (None, "array") and ("items" in schema or "prefixItems" in schema):
        if isinstance(schema.get("items"), dict) and schema["items"]:
            return frozenset(("items", "minItems", "maxItems"))
        return frozenset(("items",) if schema.get("items") else ("prefixItems",))
    if kind in (None, "string") and "pattern" in schema:
        return frozenset(("pattern",))
    if kind in (None, "string") and schema.get("format") in _FORMATS:
        return frozenset(("format",))
    return frozenset({"string": ("minLength", "maxLength"), "integer": tuple(_RANGE)}.get(str(kind), ()))


def _unheld(schema: Any, at: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    """Paths of the keywords without effect."""
    if not isinstance(schema, dict):
        return
    held = held_keywords(schema)
    if "allOf" in at[-2:-1]:  # only the properties of such a part are taken, all of them as required
        held = frozenset(("properties", "required", "$ref", "anyOf"))
    for name, value in schema.items():
        if name not in held and name not in _SAY_NOTHING and not _asks_nothing(name, value):
            yield (*at, name)
    required = schema.get("required", [])
    if "required" in held and any(one not in schema.get("properties", {}) for one in required):
        yield (*at, "required")
    for path, inner in inner_schemas(schema, at):
        if path[len(at)] in held | {"$defs", "definitions"}:
            yield from _unheld(inner, path)


def _asks_nothing(name: str, value: Any) -> bool:
    if name in ("properties", "required", "patternProperties"):
        return not value
    if name in ("items", "contains", "additionalProperties"):
        return value is True or value == {}
    return (name in ("minItems", "minLength", "minProperties") and value == 0) or value is False or name[:2] == "x-"
