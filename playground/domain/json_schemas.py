"""Checks of a JSON schema before a model is held to it: what is wrong, and at which place of the text."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, TypeGuard

from playground.domain.errors import GrammarError
from playground.domain.gbnf import fault, place_of
from playground.domain.json_places import Step, offset_of

MOST_SCHEMA: Final = 100_000
"""Characters of a JSON schema."""
DEEPEST_SCHEMA: Final = 50

_TYPES: Final = ("object", "array", "string", "integer", "number", "boolean", "null")
_SCHEMAS: Final = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
_LISTS: Final = ("oneOf", "anyOf", "allOf", "prefixItems")


Path = tuple[Step, ...]
"""From the whole schema to a value in it."""


class _Fault(Exception):
    """Something is wrong at a path of the schema."""

    def __init__(self, at: Path, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.at, self.what, self.hint = at, what, hint


@lru_cache(maxsize=32)
def check_json_schema(text: str) -> None:
    """Raise GrammarError for a text that is no JSON, or a schema that makes no sense, naming the place."""
    if len(text) > MOST_SCHEMA:
        raise GrammarError(f"The JSON schema has {len(text):,} characters.", f"At most {MOST_SCHEMA:,} are taken.")
    try:
        schema = json.loads(text)
    except json.JSONDecodeError as error:
        what = f"{error.msg[:1].lower()}{error.msg[1:]}."
        raise fault(error.lineno, error.colno, what, "The schema must be JSON.") from error
    except RecursionError as error:
        raise GrammarError("The JSON schema is nested too deeply.", f"{DEEPEST_SCHEMA} levels are taken.") from error
    except ValueError as error:  # Python reads no longer ones
        most = sys.get_int_max_str_digits()
        raise GrammarError(f"The JSON schema has a number of more than {most:,} digits.", "Write fewer.") from error
    try:
        _check_schema(schema, schema, (), 0)
    except _Fault as found:
        place = place_of(text, offset_of(text, found.at))
        raise fault(*place, f"JSON schema, at {shown_path(found.at)}: {found.what}.", found.hint) from found


def _check_schema(schema: Any, whole: Any, at: Path, depth: int) -> None:
    if depth > DEEPEST_SCHEMA:
        raise _Fault(at, "it is nested too deeply", f"{DEEPEST_SCHEMA} levels are taken.")
    if not isinstance(schema, dict):
        raise _Fault(at, f"a schema is an object, not {json.dumps(schema)[:20]}")
    kinds = schema.get("type", "object")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind not in _TYPES:
            raise _Fault((*at, "type"), f"{kind!r} is no type", f"Types: {', '.join(_TYPES)}.")
    if "$ref" in schema:
        _check_reference(schema["$ref"], whole, (*at, "$ref"))
    for inside, inner in inner_schemas(schema, at):
        _check_schema(inner, whole, inside, depth + 1)
    _check_values(schema, at)


def inner_schemas(schema: dict[str, Any], at: Path) -> Iterator[tuple[Path, Any]]:
    """Every schema inside a schema, and where it is."""
    for name in ("properties", "$defs", "definitions"):
        inner = schema.get(name, {})
        if not isinstance(inner, dict):
            raise _Fault((*at, name), "an object of schemas is wanted here")
        yield from (((*at, name, key), one) for key, one in inner.items())
    for name in _LISTS:
        inner = schema.get(name, [])
        if not isinstance(inner, list) or (name in schema and not inner):
            raise _Fault((*at, name), "a list of one or more schemas is wanted here")
        yield from (((*at, name, index), one) for index, one in enumerate(inner))
    for name in _SCHEMAS:
        inner = schema.get(name, True)
        if isinstance(inner, list) and name == "items":
            yield from (((*at, "items", index), one) for index, one in enumerate(inner))
        elif not isinstance(inner, bool):
            yield (*at, name), inner


def _check_values(schema: dict[str, Any], at: Path) -> None:
    if schema.get("enum", 1) == [] or not isinstance(schema.get("enum", []), list):
        raise _Fault((*at, "enum"), "a list of one or more values is wanted here")
    if not isinstance(schema.get("required", []), list):
        raise _Fault((*at, "required"), "a list of names is wanted here")
    for low, high in (("minItems", "maxItems"), ("minLength", "maxLength"), ("minProperties", "maxProperties")):
        for name in (low, high):
            value = schema.get(name, 0)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise _Fault((*at, name), "a whole number from 0 is wanted here")
        if high in schema and schema.get(low, 0) > schema[high]:
            raise _Fault((*at, low), f"{low} is above {high}")
    _check_range(schema, at)
    pattern = schema.get("pattern", "^$")
    if not isinstance(pattern, str) or not (pattern.startswith("^") and pattern.endswith("$")):
        raise _Fault((*at, "pattern"), 'a pattern begins with "^" and ends with "$"')


def _check_range(schema: dict[str, Any], at: Path) -> None:
    for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        value = schema.get(name, 0)
        old = isinstance(value, bool) and name.startswith("exclusive")  # of older drafts
        if not old and (not _is_number(value) or (isinstance(value, float) and not math.isfinite(value))):
            raise _Fault((*at, name), "a number is wanted here")
    lows = [name for name in ("minimum", "exclusiveMinimum") if _is_number(schema.get(name))]
    highs = [name for name in ("maximum", "exclusiveMaximum") if _is_number(schema.get(name))]
    for low in lows:
        for high in highs:
            strict = low != "minimum" or high != "maximum"
            if schema[low] > schema[high] or (strict and schema[low] == schema[high]):
                raise _Fault((*at, low), f"{low} leaves no number below {high}" if strict else f"{low} is above {high}")
    least, most = whole_range(schema) if schema.get("type") == "integer" else (None, None)
    if least is not None and most is not None and least > most:
        raise _Fault((*at, lows[0]), f"there is no whole number between {lows[0]} and {highs[0]}")


def whole_range(schema: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """The least and the greatest whole number that the bounds of a schema let through; None: no bound."""
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    lows = [math.floor(low) + 1 if above is True else math.ceil(low)] if low is not None else []
    highs = [math.ceil(high) - 1 if below is True else math.floor(high)] if high is not None else []
    lows += [math.floor(above) + 1] if _is_number(above) else []
    highs += [math.ceil(below) - 1] if _is_number(below) else []
    return max(lows, default=None), min(highs, default=None)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_reference(reference: Any, whole: Any, at: Path) -> None:
    target = _target(reference, whole, at)
    seen, open_ends = {reference}, [target]
    while open_ends:
        schema = open_ends.pop()
        if not isinstance(schema, dict):
            continue
        onward = schema.get("$ref")
        if onward == reference:
            raise _Fault(
                at,
                f"{reference} leads back to itself without saying what the value is",
                "Let one of them say it, with type or properties.",
            )
        if isinstance(onward, str):
            if onward not in seen:
                seen.add(onward)
                open_ends.append(_target(onward, whole, at))
        else:
            for name in ("oneOf", "anyOf"):
                inner = schema.get(name)
                open_ends += inner if isinstance(inner, list) else []  # what else it is, is said at its own place


def _target(reference: Any, whole: Any, at: Path) -> Any:
    """What a reference means. Raises _Fault when it means nothing."""
    if not isinstance(reference, str) or not reference.startswith("#/"):
        raise _Fault(at, "only references inside the schema (#/…) are taken", "Nothing is fetched.")
    try:
        return reference_target(whole, reference)
    except LookupError:
        raise _Fault(at, f"{reference} is not in the schema") from None


def reference_target(whole: Any, reference: str) -> Any:
    """What "#/…" means. Raises LookupError when there is no such thing."""
    target = whole
    for part in reference.removeprefix("#/").split("/"):
        if not isinstance(target, dict) or part not in target:
            raise LookupError(reference)
        target = target[part]
    return target


def references(schema: Any) -> Iterator[str]:
    """Every reference in a schema that was checked."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"]
        for _, inner in inner_schemas(schema, ()):
            yield from references(inner)


def shown_path(at: Path) -> str:
    """A path as one is used to see it, such as $.properties.age.type."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in at)
