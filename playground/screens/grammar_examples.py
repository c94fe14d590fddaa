"""Grammars and JSON schemas to begin from."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["grammar", "json_schema"]


class Example(NamedTuple):
    """A text one can change into what one wants."""

    label: str
    text: str


EXAMPLES: Final[dict[Kind, tuple[Example, ...]]] = {
    "grammar": (
        Example("yes or no", 'root ::= "Yes" | "No"\n'),
        Example("a list", 'root ::= item{3}\nitem ::= "- " [^\\n]+ "\\n"\n'),
        Example(
            "a JSON object",
            'root ::= "{" ws pair (ws "," ws pair)* ws "}"\n'
            'pair ::= string ws ":" ws value\n'
            'value ::= string | number | "true" | "false" | "null"\n'
            'string ::= "\\"" [^"\\\\\\n]* "\\""\n'
            'number ::= "-"? [0-9]{1,9} ("." [0-9]{1,9})?\n'
            "ws ::= [ \\n]{0,4}\n",
        ),
    ),
    "json_schema": (
        Example(
            "a record",
            "{\n"
            '  "type": "object",\n'
            '  "properties": {\n'
            '    "name": {"type": "string", "maxLength": 40},\n'
            '    "age": {"type": "integer"}\n'
            "  },\n"
            '  "required": ["name", "age"],\n'
            '  "additionalProperties": false\n'
            "}\n",
        ),
        Example(
            "a choice",
            "{\n"
            '  "type": "object",\n'
            '  "properties": {"answer": {"enum": ["yes", "no", "unsure"]}},\n'
            '  "required": ["answer"],\n'
            '  "additionalProperties": false\n'
            "}\n",
        ),
        Example(
            "a list of texts",
            "{\n"
            '  "type": "array",\n'
            '  "items": {"type": "string", "maxLength": 60},\n'
            '  "minItems": 2,\n'
            '  "maxItems": 4\n'
            "}\n",
        ),
    ),
}
"""By kind, in the order in which they are offered."""
