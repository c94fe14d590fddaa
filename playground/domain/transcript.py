"""The conversation as a tree: every edit, regeneration and fork is a branch, nothing is overwritten."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from playground.domain.errors import Problem
from playground.domain.events import Finished, Started, StopReason
from playground.domain.messages import Prompt, Role
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Token, join_text


class Mark(NamedTuple):
    """A place in a reply where parameters changed."""

    at: int
    """Index of the first token drawn with the new values."""
    text: str
    """Such as "temperature 0.8 → 1.2"."""
    params: SamplingParams | None = None
    """The new values; None when nobody told."""


@dataclass(slots=True, eq=False)
class Turn:
    """What one side said. A user turn has `text`, a reply has `tokens`."""

    id: int
    parent: int | None
    role: Role
    text: str = ""
    tokens: list[Token] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    forked_at: int | None = None
    """How many tokens at the start were taken over from a sibling; None for a reply of its own."""
    forked_from: int | None = None
    """Id of the sibling they were taken over from."""
    params: SamplingParams | None = None
    """Parameters in force when the reply began."""
    started: Started | None = None
    finished: Finished | None = None
    problem: Problem | None = None
    trimmed_bytes: int = 0
    thinking: str = ""
    """What the model thought before it answered; no later call sees it."""
    thinking_ms: tuple[float, float] | None = None
    """Milliseconds from submit to the first and the last piece of the thinking; None without any."""
    notes: list[str] = field(default_factory=list)
    """What happened on the way: retries, another model that took over."""
    prompt: Prompt | None = None
    """What the last run on this reply was sent, without what was already written of the reply."""
    continued_at: int = 0
    """How many tokens were there when the last run on this reply began."""
    model: str = ""
    """Name of the model that answered; empty for what a person said."""
    raw: bool = False
    """True for what was sent as it is, without a template."""
    title: str = ""
    """The name a person gave to the branch that begins here; empty for none."""
    by_hand: set[int] = field(default_factory=set)
    """Indices of tokens that a person put there: a candidate taken, a text forced, the beginning of a reply."""

    @property
    def content(self) -> str:
        """The text as the next call will see it: without special tokens and without a stop string."""
        if self.role is not Role.ASSISTANT:
            return self.text
        joined = b"".join(token.piece for token in self.tokens)
        return join_text([joined[: len(joined) - self.trimmed_bytes]])

    @property
    def kept_tokens(self) -> list[Token]:
        """Tokens a continuation can start from: no end token, nothing of a stop string."""
        kept = [token for token in self.tokens if not token.special]
        trim = self.trimmed_bytes
        while trim > 0 and kept:
            trim -= len(kept.pop().piece)
        return kept

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the reply ended; None while it streams or when it failed."""
        return self.finished.reason if self.finished else None


class Transcript:
    """Turns by id, and the head: the last turn of the branch on screen.

    Several panes may look at one tree, each at a branch of its own: they share the turns and have heads of their own.
    """

    def __init__(self, beside: Transcript | None = None) -> None:
        """A tree of its own, or another look at the tree of `beside`, from the same head."""
        self.turns: dict[int, Turn] = beside.turns if beside is not None else {}
        self.head: int | None = beside.head if beside is not None else None
        self._ids: Iterator[int] = beside._ids if beside is not None else itertools.count(1)

    def shares_with(self, other: Transcript) -> bool:
        """True when both look at the same tree."""
        return self.turns is other.turns

    def add(self, role: Role, parent: int | None, *, text: str = "", tokens: list[Token] | None = None) -> Turn:
        """Append a turn behind `parent` and make it the head."""
        turn = Turn(id=next(self._ids), parent=parent, role=role, text=text, tokens=tokens or [])
        self.turns[turn.id] = turn
        self.head = turn.id
        return turn

    def path(self, to: int | None = None) -> list[Turn]:
        """Turns from the first one to `to`, by default to the head."""
        return list(self._upwards(self.head if to is None else to))[::-1]

    def _upwards(self, at: int | None) -> Iterator[Turn]:
        while at is not None:
            turn = self.turns[at]
            yield turn
            at = turn.parent

    def siblings(self, turn: Turn) -> list[Turn]:
        """Turns that answer the same one, oldest first, this one included."""
        return [other for other in self.turns.values() if other.parent == turn.parent and other.role is turn.role]

    def place(self, turn: Turn) -> tuple[int, int]:
        """Which of how many versions a turn is, counted from 1."""
        versions = self.siblings(turn)
        return versions.index(turn) + 1, len(versions)

    def newest_leaf(self, turn: Turn) -> Turn:
        """The end of the branch through this turn that was written to last."""
        newest_child = {other.parent: other for other in self.turns.values()}  # turns are in the order of their ids
        while turn.id in newest_child:
            turn = newest_child[turn.id]
        return turn

    def last(self, role: Role) -> Turn | None:
        """The last turn of a role on the branch on screen."""
        return next((turn for turn in self._upwards(self.head) if turn.role is role), None)
