"""A JSON schema as a grammar: llama-cpp-python's converter, and bounds of whole numbers, which it leaves out."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from llama_cpp.llama_grammar import RESERVED_NAMES, SchemaConverter

from playground.domain.json_schemas import reference_target, references, whole_range
from playground.domain.schema_support import says_what

_DIGITS: Final = 16
"""Of a whole number without a bound, as in the converter's own rule."""
_FIRST: Final = ("$ref", "oneOf", "anyOf")


def convert(schema: str) -> str:
    """The grammar of a schema that was checked. What can go wrong goes wrong with the converter's own exceptions."""
    make: Any = _Converter
    converter = make(prop_order={}, allow_fetch=False, dotall=False, raw_pattern=False)
    whole = json.loads(schema)
    converter._refs = {ref: reference_target(whole, ref) for ref in set(references(whole))}
    converter.visit(whole, "")
    return str(converter.format_grammar())


_Base: Any = SchemaConverter


class _Converter(_Base):  # type: ignore[misc]
    """The converter, told in its own words what it would overlook."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._names: dict[str, str] = {}
        """Of the rules for references."""

    def _resolve_ref(self, ref: str) -> str:
        """Name of the rule for a reference.

        The converter's own way does not see references beside the first, and takes a property's rule for a
        definition's of the same name.
        """
        if ref not in self._names:
            last = re.sub("[^a-zA-Z0-9]+", "-", ref.rsplit("/", maxsplit=1)[-1])
            name = self._names[ref] = f"ref{len(self._names)}-{last}"
            self._names[ref] = str(self.visit(self._refs[ref], name))
        return self._names[ref]

    def visit(self, schema: dict[str, Any], name: str) -> Any:
        kind = schema.get("type")
        if any(word in schema for word in _FIRST):
            return super().visit(schema, name)
        if isinstance(kind, list):
            if "enum" in schema or "const" in schema:
                schema = {word: value for word, value in schema.items() if word != "type"}
            else:
                schema = {"anyOf": [{**schema, "type": one} for one in kind]}
        elif kind == "integer" and "enum" not in schema and "const" not in schema:
            low, high = whole_range(schema)
            if low is not None or high is not None:
                rule_name = f"{name}-" if name in RESERVED_NAMES else name or "root"
                return self._add_rule(rule_name, f"({_between(low, high)}) space")
        elif not says_what(schema):
            schema = {"type": "value"}  # the converter's name for anything
        return super().visit(schema, name)


def _between(low: int | None, high: int | None) -> str:
    """A rule for the whole numbers from one to the other."""
    most = 10**_DIGITS - 1
    low = min(-most, high or 0) if low is None else low
    high = max(most, low) if high is None else high
    rules = []
    if low < 0:
        below = _positive(max(1, -high), -low)
        rules.append(f'"-" ({below})')
    if high >= 0:
        rules.append(_positive(max(0, low), high))
    return " | ".join(rules)


def _positive(low: int, high: int) -> str:
    rules = []
    for digits in range(len(str(low)), len(str(high)) + 1):
        least = max(low, 10 ** (digits - 1)) if digits > 1 else low
        rules.append(_alike(str(least), str(min(high, 10**digits - 1))))
    return " | ".join(rules)


def _alike(low: str, high: str) -> str:
    """Numbers with equally many digits, written from the first digit on so that each can be read in one way only."""
    rest = len(low) - 1
    if rest < 0:
        return ""
    if not rest:
        return f"[{low}-{high}]"
    if low[0] == high[0]:
        return f'"{low[0]}" ({_alike(low[1:], high[1:])})'
    first, last, rules = int(low[0]), int(high[0]), []
    if low[1:] != "0" * rest:
        rules.append(f'"{first}" ({_alike(low[1:], "9" * rest)})')
        first += 1
    upper = ""
    if high[1:] != "9" * rest:
        upper = f'"{last}" ({_alike("0" * rest, high[1:])})'
        last -= 1
    if first <= last:
        rules.append(f"[{first}-{last}] [0-9]{{{rest}}}")
    return " | ".join([*rules, upper] if upper else rules)
