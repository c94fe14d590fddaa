"""Reads a grammar in GBNF, llama.cpp's notation, far enough to say where a mistake is and what was expected there.

llama.cpp alone decides what a grammar allows. Its own parser tells no place, and some texts take it down or keep it for
ever; those are refused here. The notation: https://github.com/ggml-org/llama.cpp/tree/master/grammars
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

import msgspec

from playground.domain.errors import GrammarError

LARGEST: Final = 200_000
"""Characters of a grammar, at most."""
DEEPEST: Final = 1000
"""Groups inside groups, at most: llama.cpp's parser calls itself for each and has a stack that ends."""
MOST_RULES: Final = 20_000
"""Rules, those that groups and repetitions make included."""
MOST_REPEATS: Final = 2000
"""llama.cpp's own limit for repetitions and for the rules they make."""
_MOST_DIGITS: Final = 9

_NAME: Final = re.compile(r"[A-Za-z0-9-]+")
_DIGITS: Final = re.compile(r"[0-9]+")
_SPACE: Final = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_SPACE_AND_LINES: Final = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_ESCAPE: Final = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[trn\\\"\[\]-])")
_ESCAPES: Final = r"\n \r \t \\ \" \[ \] \x41 \u0041 \U00000041"

Alternative = list["str | None"]
"""What stands one behind the other: the name of a rule, or None for something that takes at least a character."""


class Grammar(msgspec.Struct):
    """The bones of a grammar: which rules follow on which."""

    rules: dict[str, list[Alternative]]
    """Name to alternatives; groups and repetitions are rules of their own, with names no text can have."""
    places: dict[str, tuple[int, int]]
    """Line and column of each rule's definition, from 1; for a group, where it begins."""
    nests: bool = False
    """True when a rule can stand inside itself: then what llama.cpp has to remember can grow without end."""


def place_of(text: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1, of a character."""
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


def fault(line: int, column: int, what: str, hint: str = "") -> GrammarError:
    """An error with its place in words and in figures."""
    error = GrammarError(f"Line {line}, column {column}: {what}", hint)
    error.line, error.column = line, column
    return error


def read_grammar(text: str) -> Grammar:
    """The rules of a grammar. Raises GrammarError for what llama.cpp would refuse to read."""
    if len(text) > LARGEST:
        raise GrammarError(f"The grammar has {len(text):,} characters.", f"At most {LARGEST:,} are taken.")
    for bad in re.finditer("[\0\ud800-\udfff]", text):
        raise fault(*place_of(text, bad.start()), "a character that no text may have.", "Delete it.")
    return _Reader(text).read()


class _Group:
    """Alternatives that are being read, of a rule or of a pair of parentheses."""

    def __init__(self, rule: str, start: int, symbols: int = 0) -> None:
        self.rule = rule
        self.start = start
        self.symbols = symbols
        """How many names were known before it."""
        self.items: Alternative = []
        self.alternatives: list[Alternative] = [self.items]
        self.last = 0
        """Where the item begins that a sign for repetition would repeat."""
        self.width = 1
        """How many rules that item is, as llama.cpp counts them."""

    def begin_alternative(self) -> None:
        """Another one follows."""
        self.items = []
        self.alternatives.append(self.items)
        self.begin_item()

    def begin_item(self, width: int = 1) -> None:
        """Another item follows."""
        self.last, self.width = len(self.items), width


class _Reader:
    """One pass over the text; `_at` is where it stands."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._grammar = Grammar({}, {})
        self._symbols: set[str] = set()
        """Names that llama.cpp would have numbered by now: its limit on repetitions counts them."""
        self._references: dict[str, int] = {}
        """Rule to the place where it is first asked for."""

    def read(self) -> Grammar:
        self._skip(lines=True)
        while self._at < len(self._text):
            self._rule()
        rules = self._grammar.rules
        for name, offset in self._references.items():
            if name not in rules:
                raise fault(*place_of(self._text, offset), f"there is no rule named {name!r}.", "Define it, or rename.")
        if "root" not in rules:
            raise fault(1, 1, "there is no rule named 'root'.", 'A grammar begins with it: root ::= "yes" | "no"')
        return self._grammar

    def _rule(self) -> None:
        start = self._at
        name = self._match(_NAME) or self._expected("the name of a rule (letters, digits, -)")
        self._skip(lines=False)
        if not self._text.startswith("::=", self._at):
            self._expected(f"'::=' behind {name!r}", "Names have letters, digits and -, no underscore.")
        self._at += 3
        self._skip(lines=True)
        self._symbols.add(name)
        self._grammar.places[name] = place_of(self._text, start)
        self._grammar.rules[name] = self._alternatives(name)
        if self._at < len(self._text):
            if self._text[self._at] not in "\r\n":
                self._expected(
                    "the end of the rule", "Names have letters, digits and -; a new rule begins on a new line."
                )
            self._skip(lines=True)

    def _alternatives(self, name: str) -> list[Alternative]:
        """What a rule may be. Groups are kept on a stack of our own: JSON schemas make them hundreds deep."""
        groups = [_Group(name, self._at)]
        while True:
            group, inside = groups[-1], len(groups) > 1
            here = self._here()
            if here == "(":
                groups.append(self._open(name, len(groups)))
            elif here == ")" and inside:
                groups.pop()
                self._grammar.rules[group.rule] = group.alternatives
                groups[-1].begin_item(max(1, len(self._symbols) - group.symbols))
                groups[-1].items.append(group.rule)
                self._at += 1
                self._skip(lines=len(groups) > 1)
            elif here == "|":
                group.begin_alternative()
                self._at += 1
                self._skip(lines=True)
            elif here and here in "*+?{":
                self._repeat(group, name, lines=inside)
            elif self._item(group):
                self._skip(lines=inside)
            elif inside:
                self._expected("')'", f"The group begins at line {place_of(self._text, group.start)[0]}.")
            else:
                return group.alternatives

    def _item(self, group: _Group) -> bool:
        """Read a text, a class or the name of a rule; False when none of them is here."""
        here = self._here()
        if here and here in "<!":
            # llama.cpp can allow such a token in the middle of a text and then end the process when it comes.
            place = place_of(self._text, self._at)
            raise fault(*place, "tokens by name or number are not taken.", 'Write the text in quotes: "<think>"')
        if here in ('"', "["):
            group.begin_item()
            group.items.extend([None] if self._characters(here) else [])
        elif here == ".":
            group.begin_item()
            self._at += 1
            group.items.append(None)
        elif _NAME.match(here):
            group.begin_item()
            start = self._at
            reference = self._match(_NAME)
            self._symbols.add(reference)
            self._references.setdefault(reference, start)
            group.items.append(reference)
        else:
            return False
        return True

    def _open(self, name: str, depth: int) -> _Group:
        start, before = self._at, len(self._symbols)
        if depth > DEEPEST:
            raise fault(
                *place_of(self._text, start), f"groups are {DEEPEST} deep here.", "Make rules of the inner ones."
            )
        self._at += 1
        self._skip(lines=True)
        return _Group(self._new_rule(start, name), start, before)

    def _characters(self, quote: str) -> bool:
        """A "literal" or a [class]; False for an empty one."""
        start, end = self._at, '"' if quote == '"' else "]"
        self._at += 1
        if quote == "[" and self._here() == "^":
            self._at += 1
        first = self._at
        while self._here() != end:
            if not self._here():
                what = "quote is" if quote == '"' else "bracket is"
                raise fault(*place_of(self._text, start), f"this {what} never closed.", f"Expected {end} behind it.")
            if self._here() == "\\":
                self._match(_ESCAPE) or self._expected("a known escape", f"Known ones: {_ESCAPES}")
            else:
                self._at += 1
        self._at += 1
        return self._at - 1 > first

    def _repetition(self, sign: str, *, lines: bool) -> tuple[int, int | None]:
        """How often at least and at most; None for no limit."""
        start = self._at
        self._at += 1
        self._skip(lines=lines)
        if sign != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        low = self._number(lines=lines)
        high: int | None = low
        if self._here() == ",":
            self._at += 1
            self._skip(lines=lines)
            high = self._number(lines=lines) if self._here() != "}" else None
        if self._here() != "}":
            self._expected("'}'")
        self._at += 1
        self._skip(lines=lines)
        if high is not None and high < low:
            raise fault(*place_of(self._text, start), f"at least {low} and at most {high} times.", "Swap the two.")
        if low > MOST_REPEATS:
            raise fault(*place_of(self._text, start), f"{low:,} repetitions.", f"At most {MOST_REPEATS:,} are taken.")
        return low, None if high is not None and high > MOST_REPEATS else high

    def _repeat(self, group: _Group, name: str, *, lines: bool) -> None:
        """Replace the last item of a group by its repetition."""
        start, items = self._at, group.items
        low, high = self._repetition(self._here(), lines=lines)
        if group.last == len(items):
            raise fault(*place_of(self._text, start), "expected something to repeat before this sign.")
        group.width *= high or low or 1
        if group.width >= MOST_REPEATS:
            place = place_of(self._text, start)
            raise fault(*place, "too many repetitions of repetitions.", "Repeat less, or a simpler part.")
        repeated = items[group.last :]
        if low == 0:
            del items[group.last :]
        optional = 1 if high is None else high - low
        if optional:
            rest = self._new_rule(start, name)
            for _ in range(optional - 1):
                self._new_rule(start, name)
            self._grammar.rules[rest] = [[*repeated, rest] if high is None else repeated, []]
            items.append(rest)

    def _new_rule(self, start: int, name: str) -> str:
        if len(self._symbols) >= MOST_RULES:
            raise GrammarError(
                f"The grammar makes more than {MOST_RULES:,} rules.",
                "Use fewer repetitions with a limit, such as {0,99}.",
            )
        made = f"{name}_{len(self._symbols)}"
        self._symbols.add(made)
        self._grammar.places[made] = place_of(self._text, start)
        return made

    def _number(self, *, lines: bool) -> int:
        start = self._at
        digits = self._match(_DIGITS) or self._expected("a whole number")
        if len(digits) > _MOST_DIGITS:
            raise fault(*place_of(self._text, start), f"a number of {len(digits)} digits.", "Write {0,} for no limit.")
        self._skip(lines=lines)
        return int(digits)

    def _here(self) -> str:
        """The next character; empty at the end."""
        return self._text[self._at : self._at + 1]

    def _skip(self, *, lines: bool) -> None:
        self._match(_SPACE_AND_LINES if lines else _SPACE)

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found[0] if found else ""

    def _expected(self, what: str, hint: str = "") -> NoReturn:
        found = repr(self._text[self._at : self._at + 12].split("\n")[0]) if self._here().strip() else "a line's end"
        raise fault(
            *place_of(self._text, self._at), f"expected {what}, found {found if self._here() else 'the end'}.", hint
        )
