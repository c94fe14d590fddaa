"""llama.cpp's notation of presets: `name = value` below `[a name]`, as its `common/preset.cpp` reads it.

A value is one line and ends where a comment begins, which `;` and `#` do wherever they stand. Of a name that stands
twice the last value counts. Stop strings and sequence breakers may hold escapes, so that every text can be said.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from playground.services.preset_keys import STAGE_LETTERS, plain_key

GLOBAL: Final = "*"
"""Name of the section whose values hold in all others."""

_LINE_END: Final = re.compile(r"\r\n|\n|\r")
"""And nothing else: what Unicode has besides, such as U+2028, is a character like any other there."""
_BLANK: Final = " \t"
_LINE: Final = re.compile(r"[ \t]*(?:\[([^\]]+)\]|([A-Za-z_][\w.-]*)[ \t]*=(.*))")
_COMMENT: Final = re.compile(r"[;#].*", re.DOTALL)
_COMMENT_OF_A_LIST: Final = re.compile(r"((^|[ \t]);|#).*", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([nrt'\"\\]))")
_UNESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t"}
_TO_ESCAPE: Final = re.compile(r"[\\;#\x00-\x1f]|^ | $")
_LISTS: Final = ("reverse_prompt", "r", "dry_sequence_breaker")
_LETTERS: Final = {name: letter for letter, name in STAGE_LETTERS.items()}

Section = dict[str, Any]
"""Values by name; a list for a name that may stand several times."""


def read_ini(text: str) -> tuple[dict[str, Section], dict[str, str]]:
    """The sections of a file, and what in it does not count, with the reason.

    What stands above the first section is in the one called "". Raises ValueError naming a line that is none.
    """
    sections: dict[str, Section] = {"": {}}
    ignored: dict[str, str] = {}
    at = ""
    for number, line in enumerate(_LINE_END.split(text.lstrip("\ufeff")), 1):
        if not line.strip(_BLANK) or line.lstrip(_BLANK)[0] in ";#":
            continue
        found = _LINE.match(line)
        if found is None:
            raise ValueError(f"line {number:,} is neither a name in brackets nor name = value")
        if found[1]:
            at = found[1].strip()
            sections.setdefault(at, {})
            continue
        _put(sections[at], found[2], found[3], ignored)
    return sections, ignored


def _put(section: Section, key: str, raw: str, ignored: dict[str, str]) -> None:
    plain = plain_key(key)
    value = (_COMMENT_OF_A_LIST if plain == "samplers" else _COMMENT).sub("", raw).strip(_BLANK)
    if plain in _LISTS:
        section.setdefault(key, [])
        section[key] = [] if (plain, value) == ("dry_sequence_breaker", "none") else [*section[key], unescaped(value)]
        return
    if key in section and section[key] != value:
        ignored[f"{key} = {section[key]}"] = "stands again further down with another value"
    section[key] = value


def unescaped(text: str) -> str:
    r"""A text in which escapes such as `\n` and `\x23` are what they stand for."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _UNESCAPED.get(found[2], found[2]), text)


def escaped(text: str) -> str:
    """The other way round: a text as one line without a comment."""
    if text == "none":
        return r"\x6eone"  # without it, none are meant
    return _TO_ESCAPE.sub(lambda found: "\\\\" if found[0] == "\\" else f"\\x{ord(found[0]):02x}", text)


def stage_letters(order: tuple[str, ...]) -> str:
    """The order of the stages as llama.cpp's letters: names would need the `;` that begins a comment here."""
    return "".join(_LETTERS[name] for name in order)


def one_line_schema(schema: str) -> str:
    """A JSON schema as one line without a comment. Raises ValueError for what is no JSON."""
    line = json.dumps(json.loads(schema), ensure_ascii=False)
    return line.replace(";", r"\u003b").replace("#", r"\u0023")
