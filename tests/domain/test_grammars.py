"""Mistakes in grammars and JSON schemas are found at their place, without a model."""

from __future__ import annotations

import pytest
from llama_cpp import llama_grammar

from playground.domain.errors import BadInput, GrammarError
from playground.domain.grammars import check_grammar, never_ends
from playground.domain.json_schemas import check_json_schema
from playground.domain.params import parse_assignment, replace
from playground.domain.sampling import SamplingParams, active_stages

GOOD = [getattr(llama_grammar, name) for name in dir(llama_grammar) if name.endswith("_GBNF")]


@pytest.mark.parametrize("grammar", GOOD)
def test_the_librarys_own_grammars_pass(grammar: str) -> None:
    assert "root" in check_grammar(grammar).rules


@pytest.mark.parametrize(
    ("grammar", "line", "column", "said"),
    [
        ("", 1, 1, "no rule named 'root'"),
        ('root = "a"', 1, 6, "expected '::=' behind 'root', found '= \"a\"'"),
        ("root ::= yes no\nyes ::= 'a'", 2, 9, "expected the end of the rule"),
        ("root ::= yes no\nyes ::= [a]", 1, 14, "there is no rule named 'no'"),
        ('root ::= my_rule\nmy_rule ::= "a"', 1, 12, "found '_rule'"),
        ('root ::= "a"\n | "b"', 2, 2, "expected the name of a rule"),
        ('root ::= ("a"\n | "b"', 2, 7, "expected ')', found the end"),
        ('# a comment\nroot ::= "a\\q"', 2, 12, "expected a known escape"),
        ("root ::= [a-", 1, 10, "this bracket is never closed"),
        ('root ::= "a" | *', 1, 16, "something to repeat"),
        ('root ::= ""* "a"', 1, 12, "something to repeat"),
        ('root ::= "a"{x}', 1, 14, "expected a whole number"),
        ('root ::= "a"{2;}', 1, 15, "expected '}'"),
        ('root ::= "a"{5000}', 1, 13, "5,000 repetitions"),
        ('root ::= "a"\n\nitem ::= "b"\nlist ::= list item | item', 4, 1, "'list' can begin with itself"),
        ('root ::= (a)\na ::= "" | b\nb ::= a "x"', 2, 1, "can begin with itself"),
    ],
)
def test_a_mistake_has_its_line_and_column(grammar: str, line: int, column: int, said: str) -> None:
    with pytest.raises(GrammarError) as caught:
        check_grammar(grammar)
    assert said in caught.value.message
    assert caught.value.message.startswith(f"Line {line}, column {column}: ")
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize(
    ("grammar", "nests"),
    [
        ('root ::= ("- " [^\\n]+ "\\n"){3,}', False),
        ('root ::= "a" root | "b"', False),
        ('root ::= "(" root ")" | "b"', True),
        ('root ::= "a" item\nitem ::= ("[" root ("," root)* "]")?', True),
    ],
)
def test_rules_inside_themselves_are_known(grammar: str, nests: bool) -> None:
    assert check_grammar(grammar).nests is nests


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ('{\n  "type": "object",\n}', "Line 3, column 1"),
        ("[1]", "at $: a schema is an object, not [1]"),
        ('{"type": "objct"}', "at $.type: 'objct' is no type"),
        ('{"properties": {"a": {"items": {"type": 3}}}}', "at $.properties.a.items.type: 3 is no type"),
        ('{"anyOf": []}', "at $.anyOf"),
        ('{"anyOf": [{"enum": []}]}', "at $.anyOf[0].enum"),
        ('{"type": "array", "minItems": 4, "maxItems": 2}', "minItems is above maxItems"),
        ('{"type": "string", "pattern": "a+"}', "at $.pattern"),
        ('{"$ref": "#/$defs/b", "$defs": {"a": {}}}', "#/$defs/b is not in the schema"),
        (
            '{"$ref":"#/$defs/a","$defs":{"a":{"oneOf":5}}}',
            "Line 1, column 43: JSON schema, at $.$defs.a.oneOf: a",
        ),
        ('{"$ref":"#/$defs/a","$defs":{"a":{"anyOf":true}}}', "at $.$defs.a.anyOf: a list of one or more schemas"),
        ('{"$ref":"#/$defs/a","$defs":{"a":{"anyOf":[{"$ref":"#/$defs/a"}]}}}', "leads back to itself"),
        (f'{{"type": "integer", "minimum": {"9" * 400}, "maximum": 5}}', "minimum is above maximum"),
        (f'{{"type": "integer", "minimum": -{"9" * 400}}}', ""),
        (f'{{"minimum": {"9" * 5000}}}', "a number of more than 4,300 digits"),
        ('{"minimum": 1e999}', "at $.minimum: a number is wanted here"),
        ('{"a":' * 60 + "{}" + "}" * 60, ""),
        ('{"items":' * 60 + "{}" + "}" * 60, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        (" " * 200_000, "200,000 characters"),
    ],
)
def test_a_schemas_mistake_has_its_place(schema: str, said: str) -> None:
    if not said:
        check_json_schema(schema)
        return
    with pytest.raises(GrammarError) as caught:
        check_json_schema(schema)
    assert said in caught.value.message


def test_a_mistake_in_a_schema_is_found_in_its_text() -> None:
    text = """{
  "type": "object",
  "properties": {
    "a b": {"enum": [1, "x,]}"]},
    "list": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "strin"}]}
  }
}"""
    with pytest.raises(GrammarError) as caught:
        check_json_schema(text)
    assert (caught.value.line, caught.value.column) == (5, 76)
    assert text.splitlines()[4][75:].startswith('"strin"')
    assert str(caught.value).startswith("Line 5, column 76: JSON schema, at $.properties.list.prefixItems[1].type: ")


@pytest.mark.parametrize(
    ("grammar", "endless"),
    [
        ('root ::= "ab" root', True),
        ('root ::= "a" x\nx ::= "b" y | "c" x\ny ::= "d" x', True),
        ('root ::= "a" x\nx ::= "b" x |', False),
        ('root ::= "x" | "a" root', False),
        ('root ::= ("a" | "b" root)+', False),
        ("root ::= .*", False),
    ],
)
def test_a_grammar_under_which_nothing_is_ever_complete_is_known(grammar: str, endless: bool) -> None:
    assert never_ends(check_grammar(grammar)) is endless


def test_parameters_with_a_bad_grammar_are_refused_before_they_are_used() -> None:
    with pytest.raises(GrammarError, match="never closed"):
        replace(SamplingParams(), grammar='root ::= "a')
    with pytest.raises(BadInput, match="both set"):
        replace(SamplingParams(), grammar='root ::= "a"', json_schema="{}")
    held = parse_assignment(SamplingParams(), 'grammar=root ::= "a" | "b=c"')
    assert held.grammar == 'root ::= "a" | "b=c"'
    assert active_stages(held)[0] == "grammar"
    assert active_stages(replace(held, ignore_eos=True))[:2] == ("logit_bias", "grammar")
