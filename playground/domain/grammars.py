"""Checks of a grammar or a JSON schema before a model is held to it: quick enough for an editor, and without a model.

What passes here can be given to llama.cpp without harm. It may still refuse it, with less to say about the place.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from playground.domain.errors import BadInput
from playground.domain.gbnf import Alternative, Grammar, fault, read_grammar
from playground.domain.json_schemas import check_json_schema
from playground.domain.sampling import SamplingParams

MOST_BEGINNINGS: Final = 10_000
"""Ways to begin a rule: llama.cpp follows all of them at once, and some short grammars have billions."""


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


def never_ends(grammar: Grammar) -> bool:
    """True when no text is complete under a grammar: a reply then goes on until it meets one of its limits."""
    users: dict[str, list[tuple[str, int]]] = {}
    missing: dict[tuple[str, int], int] = {}
    """For each alternative, how many of the rules in it are not known to end."""
    ready: list[str] = []
    for name, alternatives in grammar.rules.items():
        for number, items in enumerate(alternatives):
            rules = {item for item in items if item is not None}
            missing[name, number] = len(rules)
            for rule in rules:
                users.setdefault(rule, []).append((name, number))
            if not rules:
                ready.append(name)
    ends: set[str] = set()
    while ready:
        name = ready.pop()
        if name in ends:
            continue
        ends.add(name)
        for user in users.get(name, ()):
            missing[user] -= 1
            if missing[user] == 0:
                ready.append(user[0])
    return "root" not in ends
