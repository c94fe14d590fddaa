"""Checks of a grammar or a JSON schema before a model is held to it: quick enough for an editor, and without a model.

What passes here can be given to llama.cpp without harm. It may still refuse it, with less to say about the place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from playground.domain.errors import BadInput, GrammarError
from playground.domain.gbnf import Alternative, Grammar, fault, read_grammar
from playground.domain.sampling import SamplingParams

MOST_BEGINNINGS: Final = 10_000
"""Ways to begin a rule: llama.cpp follows all of them at once, and some short grammars have billions."""
MOST_SCHEMA: Final = 100_000
"""Characters of a JSON schema."""
DEEPEST_SCHEMA: Final = 50

_TYPES: Final = ("object", "array", "string", "integer", "number", "boolean", "null")
_SCHEMAS: Final = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
_LISTS: Final = ("oneOf", "anyOf", "allOf", "prefixItems")


def check_constraint(params: SamplingParams) -> None:
    """Raise GrammarError or BadInput when the grammar or the JSON schema cannot be used."""
    if params.grammar and params.json_schema:
        raise BadInput("A grammar and a JSON schema are both set.", "Clear one of the two.")
    if params.grammar:
        check_grammar(params.grammar)
    if params.json_schema:
        check_json_schema(params.json_schema)


@lru_cache(maxsize=32)
def check_grammar(text: str) -> Grammar:
    """The rules of a grammar that llama.cpp can take. Raises GrammarError with line and column of the mistake."""
    grammar = read_grammar(text)
    # llama.cpp takes a rule as able to be empty only when one of its alternatives is, and refuses every cycle it sees.
    plainly = {name for name, alternatives in grammar.rules.items() if [] in alternatives}
    _refuse_cycles(grammar, plainly, tails=True)
    # A cycle it does not see makes it run until memory ends, except where nothing is left to do after the inner rule.
    empty = _may_be_empty(grammar)
    _refuse_cycles(grammar, empty, tails=False)
    _refuse_ambiguity(grammar, empty)
    grammar.nests = _nests(grammar)
    return grammar


def _left(alternative: Alternative, empty: set[str]) -> Iterator[tuple[str | None, bool]]:
    """What an alternative can begin with, and whether it is the alternative's last item."""
    for index, item in enumerate(alternative):
        yield item, index == len(alternative) - 1
        if item is None or item not in empty:
            return


def _may_be_empty(grammar: Grammar) -> set[str]:
    """Rules that can stand for nothing at all."""
    empty: set[str] = set()
    while True:
        found = {
            name
            for name, alternatives in grammar.rules.items()
            if name not in empty and any(all(item in empty for item in items) for items in alternatives)
        }
        if not found:
            return empty
        empty |= found


def _refuse_cycles(grammar: Grammar, empty: set[str], *, tails: bool) -> None:
    """Raise GrammarError for a rule that begins with itself; without `tails`, only if something stands behind it."""
    edges = {
        name: [(item, last) for items in alternatives for item, last in _left(items, empty) if item is not None]
        for name, alternatives in grammar.rules.items()
    }
    component = _components({name: [item for item, _ in found] for name, found in edges.items()})
    for name, found in edges.items():
        for item, last in found:
            if component[item] == component[name] and (tails or not last):
                raise fault(
                    *grammar.places[name],
                    f"the rule {name.split('_')[0]!r} can begin with itself, without end.",
                    'Put what repeats behind: instead of  list ::= list "," item  write  list ::= item ("," item)*',
                )


def _nests(grammar: Grammar) -> bool:
    """True when a rule holds itself with something behind it."""
    component = _components(
        {name: [item for items in found for item in items if item] for name, found in grammar.rules.items()}
    )
    return any(
        item is not None and component[item] == component[name]
        for name, alternatives in grammar.rules.items()
        for items in alternatives
        for item in items[:-1]
    )


def _components(edges: dict[str, list[str]]) -> dict[str, int]:
    """Tarjan's strongly connected components, without recursion: rules of one cycle get one number."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    component: dict[str, int] = {}
    stack: list[str] = []
    for root, children in edges.items():
        if root in order:
            continue
        work = [(root, iter(children))]
        order[root] = low[root] = len(order)
        stack.append(root)
        while work:
            name, rest = work[-1]
            for child in rest:
                if child not in order:
                    order[child] = low[child] = len(order)
                    stack.append(child)
                    work.append((child, iter(edges[child])))
                    break
                if child not in component:
                    low[name] = min(low[name], order[child])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == order[name]:
                    while True:
                        member = stack.pop()
                        component[member] = order[name]
                        if member == name:
                            break
    return component


def _refuse_ambiguity(grammar: Grammar, empty: set[str]) -> None:
    """Raise GrammarError for a rule with more beginnings than llama.cpp could hold in memory."""
    ways: dict[str, int] = {}
    for root in grammar.rules:
        work = [root]
        while work:
            name = work[-1]
            first = [item for items in grammar.rules[name] for item, _ in _left(items, empty)]
            if name not in ways:
                ways[name] = 0  # while its own parts are counted: a cycle counts once
                if unknown := [item for item in first if item is not None and item not in ways]:
                    work += unknown
                    continue
            work.pop()
            ways[name] = 1 + sum(1 if item is None else ways[item] for item in first)
            if ways[name] > MOST_BEGINNINGS:
                raise fault(
                    *grammar.places[name],
                    f"the rule {name.split('_')[0]!r} can begin in more than {MOST_BEGINNINGS:,} ways.",
                    "Let alternatives differ in their first character, and put what they share before them.",
                )


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
    _check_schema(schema, schema, "$", 0)


def _check_schema(schema: Any, whole: Any, at: str, depth: int) -> None:
    if depth > DEEPEST_SCHEMA:
        raise GrammarError(f"The JSON schema is nested too deeply at {at}.", f"{DEEPEST_SCHEMA} levels are taken.")
    if not isinstance(schema, dict):
        raise _schema_fault(at, f"a schema is an object, not {json.dumps(schema)[:20]}")
    kinds = schema.get("type", "object")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind not in _TYPES:
            raise _schema_fault(f"{at}.type", f"{kind!r} is no type", f"Types: {', '.join(_TYPES)}.")
    if "$ref" in schema:
        _check_reference(schema["$ref"], whole, f"{at}.$ref")
    for inside, inner in _inner_schemas(schema, at):
        _check_schema(inner, whole, inside, depth + 1)
    _check_values(schema, at)


def _inner_schemas(schema: dict[str, Any], at: str) -> Iterator[tuple[str, Any]]:
    """Every schema inside a schema, and where it is."""
    for name in ("properties", "$defs", "definitions"):
        inner = schema.get(name, {})
        if not isinstance(inner, dict):
            raise _schema_fault(f"{at}.{name}", "an object of schemas is wanted here")
        yield from ((f"{at}.{name}.{key}", one) for key, one in inner.items())
    for name in _LISTS:
        inner = schema.get(name, [])
        if not isinstance(inner, list) or (name in schema and not inner):
            raise _schema_fault(f"{at}.{name}", "a list of one or more schemas is wanted here")
        yield from ((f"{at}.{name}[{index}]", one) for index, one in enumerate(inner))
    for name in _SCHEMAS:
        inner = schema.get(name, True)
        if isinstance(inner, list) and name == "items":
            yield from ((f"{at}.items[{index}]", one) for index, one in enumerate(inner))
        elif not isinstance(inner, bool):
            yield f"{at}.{name}", inner


def _check_values(schema: dict[str, Any], at: str) -> None:
    if schema.get("enum", 1) == [] or not isinstance(schema.get("enum", []), list):
        raise _schema_fault(f"{at}.enum", "a list of one or more values is wanted here")
    if not isinstance(schema.get("required", []), list):
        raise _schema_fault(f"{at}.required", "a list of names is wanted here")
    for low, high in (("minItems", "maxItems"), ("minLength", "maxLength")):
        for name in (low, high):
            value = schema.get(name, 0)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise _schema_fault(f"{at}.{name}", "a whole number from 0 is wanted here")
        if high in schema and schema.get(low, 0) > schema[high]:
            raise _schema_fault(f"{at}.{low}", f"{low} is above {high}")
    pattern = schema.get("pattern", "^$")
    if not isinstance(pattern, str) or not (pattern.startswith("^") and pattern.endswith("$")):
        raise _schema_fault(f"{at}.pattern", 'a pattern begins with "^" and ends with "$"')


def _check_reference(reference: Any, whole: Any, at: str) -> None:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        raise _schema_fault(at, "only references inside the schema (#/…) are taken", "Nothing is fetched.")
    target = whole
    for part in reference[2:].split("/"):
        if not isinstance(target, dict) or part not in target:
            raise _schema_fault(at, f"{reference} is not in the schema")
        target = target[part]


def _schema_fault(at: str, what: str, hint: str = "") -> GrammarError:
    return GrammarError(f"JSON schema, at {at}: {what}.", hint)
