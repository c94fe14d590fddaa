"""JSON schemas as grammars: what llama-cpp-python's converter leaves out or mixes up."""

from __future__ import annotations

import random
import re

import pytest

from playground.domain.errors import GrammarError
from playground.engine.grammar import schema_to_grammar


def _rule(schema: str, name: str = "root") -> str:
    grammar = schema_to_grammar(schema)
    (found,) = re.findall(rf"^{name} ::= (.*)$", grammar, re.MULTILINE)
    return str(found)


@pytest.mark.parametrize("seed", range(20))
def test_a_whole_number_keeps_within_its_bounds(seed: int) -> None:
    chance = random.Random(seed)
    low = chance.choice((-1, 1)) * chance.randrange(10 ** chance.randrange(1, 7))
    high = low + chance.randrange(10 ** chance.randrange(1, 7))
    rule = _rule(f'{{"type": "integer", "minimum": {low}, "maximum": {high}}}').removesuffix(" space")
    expression = re.compile(rule.replace('"', "").replace(" ", ""))
    values = {
        low - 1,
        low,
        low + 1,
        high - 1,
        high,
        high + 1,
        -1,
        0,
        1,
        *(chance.randrange(low, high + 1) for _ in range(50)),
    }
    for value in values:
        assert bool(expression.fullmatch(str(value))) is (low <= value <= high), value


def test_bounds_beside_other_types_hold_as_well() -> None:
    schema = '{"type": ["integer", "null"], "exclusiveMinimum": 1, "exclusiveMaximum": 4}'
    assert _rule(schema, "alternative-0") == "([2-3]) space"
    assert "string" not in schema_to_grammar('{"type": ["string", "null"], "enum": ["a", null]}')
    assert "{16}" not in _rule('{"type": "integer", "minimum": 0}')


def test_a_definition_that_holds_itself_becomes_a_grammar() -> None:
    tree = '{"$ref": "#/$defs/t", "$defs": {"t": {"type": "object", "properties": {"t": {"$ref": "#/$defs/t"}}}}}'
    assert _rule(tree, "ref0-t-t") == "ref0-t"


def test_a_propertys_rule_is_not_taken_for_a_definitions() -> None:
    schema = (
        '{"type": "object", "properties": {"a": {"type": "object", "properties": {"n": {"type": "null"}}}, '
        '"b": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"enum": ["x"]}}}'
    )
    assert _rule(schema, "ref0-a") == r'"\"x\""'


@pytest.mark.parametrize(
    "schema",
    [
        '{"$ref": "#/definitions/a", "definitions": {"a": {"$ref": "#/definitions/a"}}}',
        '{"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}',
        '{"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/a"}]}}}',
    ],
)
def test_a_reference_in_a_circle_is_one_sentence(schema: str) -> None:
    with pytest.raises(GrammarError, match=r"leads back to itself without saying what the value is\. Let one"):
        schema_to_grammar(schema)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ('{"type": "integer", "minimum": 5, "maximum": 3}', "column 32: JSON schema, at $.minimum: minimum is above"),
        ('{"type": "number", "exclusiveMinimum": 5, "maximum": 5}', "exclusiveMinimum leaves no number below maximum"),
        ('{"type": "integer", "exclusiveMinimum": 2, "exclusiveMaximum": 3}', "there is no whole number between"),
        ('{"type": "string", "minLength": 5, "maxLength": 3}', "minLength is above maxLength"),
        ('{"type": "object", "minProperties": 5, "maxProperties": 3}', "minProperties is above maxProperties"),
        ('{"type": "integer", "minimum": "5"}', "at $.minimum: a number is wanted here"),
    ],
)
def test_what_contradicts_itself_is_refused_at_its_place(schema: str, said: str) -> None:
    with pytest.raises(GrammarError, match=re.escape(said)):
        schema_to_grammar(schema)


def test_what_says_nothing_of_a_type_may_be_anything() -> None:
    assert _rule('{"type": "object", "properties": {"a": {"description": "x"}}}', "a-kv").endswith("space value")
