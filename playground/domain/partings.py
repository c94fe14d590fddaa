"""Where the versions of a reply part from one another, when some of them are deleted too.

Versions that were forked from one another are paths that share their beginnings. A version hangs on the one it was
forked from, at the token where they part; where it parts before that one's own first token, on the one before. When a
version is deleted, the fork that left it last has the most of it and stands in its place: forks that left it earlier
hang on that fork from then on. A fork at the very first token has nothing of it, and is then a version of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from playground.domain.transcript import Transcript, Turn


class Place(NamedTuple):
    """Where a version hangs."""

    source: Turn
    """The version it hangs on."""
    at: int
    """How many tokens at the start they share."""


class _Edge(NamedTuple):
    source: int | None
    """Id of the version; None for a version of its own."""
    at: int


def places(tree: Transcript, parent: int | None) -> dict[int, Place]:
    """By id, where each of the versions behind `parent` hangs; a version of its own is left out."""
    known = _lineage(tree, (turn for turn in tree.children(parent) if turn.forked_at is not None))
    edges = {turn.id: _edge(tree, turn) for turn in known.values()}
    hanging: dict[int | None, list[int]] = {}
    for turn_id, edge in edges.items():
        hanging.setdefault(edge.source, []).append(turn_id)
    for turn_id in known:
        if turn_id not in tree.turns:
            _take_out(turn_id, edges, hanging)
    return {
        turn_id: Place(known[edge.source], edge.at)
        for turn_id, edge in edges.items()
        if edge.source is not None and turn_id in tree.turns
    }


def _lineage(tree: Transcript, forks: Iterable[Turn]) -> dict[int, Turn]:
    """The forks and all that they were forked from, be it deleted."""
    known: dict[int, Turn] = {}
    for fork in forks:
        turn: Turn | None = fork
        while turn is not None and turn.id not in known:
            known[turn.id] = turn
            turn = tree.find(turn.forked_from) if turn.forked_at is not None else None
    return known


def _edge(tree: Transcript, turn: Turn) -> _Edge:
    source = tree.find(turn.forked_from) if turn.forked_at is not None else None
    if source is None or turn.forked_at is None:
        return _Edge(None, 0)
    while source.forked_at is not None and turn.forked_at <= source.forked_at:
        above = tree.find(source.forked_from)
        if above is None:
            break
        source = above
    return _Edge(source.id, turn.forked_at)


def _take_out(gone: int, edges: dict[int, _Edge], hanging: dict[int | None, list[int]]) -> None:
    """The fork that left a deleted version last takes its place, with the others hanging on it."""
    place = edges.pop(gone)
    hanging[place.source].remove(gone)
    forks = hanging.pop(gone, [])
    if not forks:
        return
    heir = max(forks, key=lambda fork: (edges[fork].at, -fork))
    for fork in forks:
        at = edges[fork].at
        edge = place if fork == heir else _Edge(heir, at) if at else _Edge(None, 0)
        edges[fork] = edge
        hanging.setdefault(edge.source, []).append(fork)
