"""Keywords of a JSON schema that a grammar does not hold a reply to are named, at their place."""

from __future__ import annotations

import pytest

from playground.domain.schema_support import unheld_keywords, unheld_note


@pytest.mark.parametrize(
    ("schema", "unheld"),
    [
        ('{"type": "integer", "minimum": 5, "maximum": 9}', []),
        ('{"type": ["integer", "null"], "minimum": 5}', []),
        ('{"type": "string", "minLength": 1, "maxLength": 9}', []),
        ('{"type": "string", "title": "A", "description": "b", "default": "c", "examples": ["d"]}', []),
        ('{"type": "object", "properties": {}, "additionalProperties": true}', []),
        ('{"type": "array", "items": {}, "minItems": 0, "uniqueItems": false}', []),
        ('{"type": "string", "format": "date-time"}', []),
        ('{"type": "number", "minimum": 5, "multipleOf": 2}', ["minimum", "multipleOf"]),
        ('{"type": "integer", "multipleOf": 2}', ["multipleOf"]),
        ('{"type": "string", "format": "email"}', ["format"]),
        ('{"type": "string", "pattern": "^a*$", "maxLength": 3}', ["maxLength"]),
        ('{"type": "array", "items": {"type": "string"}, "uniqueItems": true}', ["uniqueItems"]),
        ('{"type": "array", "prefixItems": [{"type": "string"}], "minItems": 1}', ["minItems"]),
        ('{"not": {"type": "null"}}', ["not"]),
        ('{"type": "object", "if": {}, "then": {}, "else": {}}', ["if", "then", "else"]),
        ('{"type": "object", "properties": {"a": {"type": "null"}}, "required": ["b"]}', ["required"]),
        (
            '{"type": "object", "properties": {"a": {"type": "null"}}, "patternProperties": {"b": {}}}',
            ["patternProperties"],
        ),
        ('{"type": "object", "properties": {"a": {"type": "null"}}, "anyOf": [{"type": "null"}]}', ["properties"]),
    ],
)
def test_what_is_not_held_is_found(schema: str, unheld: list[str]) -> None:
    assert [one.keyword for one in unheld_keywords(schema)] == unheld


def test_a_note_names_the_place() -> None:
    schema = """{
  "type": "object",
  "properties": {
    "mail": {"type": "string", "format": "email"},
    "ages": {"type": "array", "items": {"type": "number", "minimum": 5}, "uniqueItems": true}
  }
}"""
    assert unheld_note(schema) == (
        "A local model is not held to all of this JSON schema; its reply may break format (line 4, at "
        "$.properties.mail), minimum (line 5, at $.properties.ages.items), uniqueItems (line 5, at $.properties.ages)."
    )
    first = unheld_keywords(schema)[0]
    assert schema.splitlines()[first.line - 1][first.column - 1 :].startswith('"email"')
    assert unheld_note('{"type": "string"}') == ""
