"""The conversation as a tree: every edit, regeneration and fork is a branch, nothing is overwritten."""

from __future__ import annotations

import itertools
from bisect import insort
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple
from weakref import WeakSet

from playground.domain.errors import BadInput, Problem
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


class Begun(StrEnum):
    """How a branch began."""

    MESSAGE = "message"
    EDITED = "edited"
    REPLY = "reply"
    AGAIN = "again"
    """Another reply to the same message."""
    CANDIDATE = "candidate"
    """Another candidate was taken at a token."""
    FORCED = "forced"
    """A person's text was put in place of a token."""
    FAN_OUT = "fan-out"
    """One of several candidates that went on side by side."""
    PREFILL = "begun"
    """A person wrote the beginning of the reply."""


INTERRUPTED: Final = "The program ended while this reply was being written. Ctrl+G lets it go on."
"""A note on a reply; it goes when the reply goes on."""


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
    """Id of the version this one was made from: the reply that tokens were taken over from, the message edited."""
    begun: Begun | None = None
    """How it began, where that cannot be seen from the turn itself; see `branches.begun`."""
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
    writing: bool = False
    """True while a run writes it, in whichever of the panes that look at its tree."""
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


@dataclass(slots=True, eq=False)
class Deletion:
    """What was taken out of a tree at once, and how to put it back."""

    root: Turn
    """The turn that a person deleted."""
    turns: dict[int, Turn]
    moved: list[tuple[Transcript, int, int | None]] = field(default_factory=list)
    """Who looked at one of them: at which it was, and where it went instead."""


@dataclass(slots=True, eq=False)
class _Tree:
    """What everybody shares who looks at the same tree."""

    turns: dict[int, Turn] = field(default_factory=dict)
    """In the order of their ids."""
    children: dict[int | None, list[Turn]] = field(default_factory=dict)
    """By the id of the turn they stand behind, oldest first."""
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    deleted: list[Deletion] = field(default_factory=list)
    gone: dict[int, Turn] = field(default_factory=dict)
    """Turns of all of `deleted`."""
    looks: WeakSet[Transcript] = field(default_factory=WeakSet)
    changes: int = 0

    def put(self, turn: Turn) -> None:
        self.turns[turn.id] = turn
        insort(self.children.setdefault(turn.parent, []), turn, key=lambda other: other.id)
        self.changes += 1

    def take(self, turn: Turn) -> None:
        del self.turns[turn.id]
        self.children[turn.parent].remove(turn)
        self.changes += 1


class Transcript:
    """Turns by id, and the head: the last turn of the branch on screen.

    Several panes may look at one tree, each at a branch of its own: they share the turns and have heads of their own.
    """

    def __init__(self, beside: Transcript | None = None) -> None:
        """A tree of its own, or another look at the tree of `beside`, from the same head."""
        self._tree: _Tree = beside._tree if beside is not None else _Tree()
        self._tree.looks.add(self)
        self.head: int | None = beside.head if beside is not None else None

    @property
    def turns(self) -> Mapping[int, Turn]:
        """All turns by id, oldest first."""
        return self._tree.turns

    @property
    def changes(self) -> int:
        """How often turns came or went, so that whoever draws the tree sees that it has changed."""
        return self._tree.changes

    def shares_with(self, other: Transcript) -> bool:
        """True when both look at the same tree."""
        return self._tree is other._tree

    def add(self, role: Role, parent: int | None, *, text: str = "", tokens: list[Token] | None = None) -> Turn:
        """Append a turn behind `parent` and make it the head."""
        turn = Turn(id=next(self._tree.ids), parent=parent, role=role, text=text, tokens=tokens or [])
        self._tree.put(turn)
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

    def children(self, parent: int | None) -> list[Turn]:
        """Turns right behind one, oldest first; those that begin a conversation behind None."""
        return list(self._tree.children.get(parent, ()))

    def siblings(self, turn: Turn) -> list[Turn]:
        """Turns that answer the same one, oldest first, this one included."""
        return [other for other in self._tree.children.get(turn.parent, ()) if other.role is turn.role]

    def place(self, turn: Turn) -> tuple[int, int]:
        """Which of how many versions a turn is, counted from 1."""
        versions = self.siblings(turn)
        return versions.index(turn) + 1, len(versions)

    def newest_leaf(self, turn: Turn) -> Turn:
        """The end of the branch through this turn that was written to last."""
        while children := self._tree.children.get(turn.id):
            turn = children[-1]
        return turn

    def last(self, role: Role) -> Turn | None:
        """The last turn of a role on the branch on screen."""
        return next((turn for turn in self._upwards(self.head) if turn.role is role), None)

    def find(self, turn_id: int | None) -> Turn | None:
        """A turn by its id, a deleted one too; None when there never was one or it was discarded."""
        if turn_id is None:
            return None
        return self.turns.get(turn_id) or self._tree.gone.get(turn_id)

    # -- taking out and putting back ---------------------------------------------------------------------------

    @property
    def deleted(self) -> int:
        """How many deletions can be undone."""
        return len(self._tree.deleted)

    def behind(self, roots: Collection[Turn]) -> dict[int, Turn]:
        """These turns and all that was said behind them, by id."""
        found: dict[int, Turn] = {}
        waiting = list(roots)
        while waiting:
            turn = waiting.pop()
            found[turn.id] = turn
            waiting += self._tree.children.get(turn.id, ())
        return dict(sorted(found.items()))

    def delete(self, root: Turn, also: Collection[Turn] = ()) -> Deletion:
        """Take a turn out of the tree, others with it, and all that was said behind them.

        Whoever looked at one of them goes to the nearest that is left: the version it was made from, else the one
        before, else the one after, else the turn that all of them stood behind.

        Raises BadInput for a turn that is not in the tree.
        """
        if root.id not in self.turns:
            raise BadInput("This branch is not there any more.", "Look at the tree again.")
        deletion = Deletion(root, self.behind([root, *also]))
        for turn in deletion.turns.values():
            self._tree.take(turn)
        self._tree.gone |= deletion.turns
        self._tree.deleted.append(deletion)
        for look in self._tree.looks:
            if look.head in deletion.turns:
                nearest = self._nearest(deletion, look.head)
                deletion.moved.append((look, look.head, nearest))
                look.head = nearest
        return deletion

    def _nearest(self, deletion: Deletion, head: int) -> int | None:
        turn = deletion.turns[head]
        while turn.parent in deletion.turns:
            turn = deletion.turns[turn.parent]
        source = self.find(turn.forked_from)
        while source is not None and source.id not in self.turns:
            source = self.find(source.forked_from)
        if source is None:
            left = self.siblings(turn)
            before = [other for other in left if other.id < turn.id]
            source = before[-1] if before else left[0] if left else self.turns.get(turn.parent or 0)
        return self.newest_leaf(source).id if source is not None else None

    def undo(self) -> Deletion:
        """Put back what was deleted last, exactly where it was. Nobody's head moves; `moved` says who was there.

        Raises BadInput when nothing is left to be put back.
        """
        if not self._tree.deleted:
            raise BadInput("There is nothing to put back.", "Every branch that was deleted is in the tree again.")
        deletion = self._tree.deleted.pop()
        for turn in deletion.turns.values():
            self._tree.put(turn)
            del self._tree.gone[turn.id]
        ordered = sorted(self._tree.turns.items())
        self._tree.turns.clear()
        self._tree.turns.update(ordered)
        return deletion

    def discard(self, turn: Turn) -> bool:
        """Take out for good what nothing was said behind; False when something was, be it deleted by now."""
        if self._tree.children.get(turn.id) or any(other.parent == turn.id for other in self._tree.gone.values()):
            return False
        self._tree.take(turn)
        for look in self._tree.looks:
            if look.head == turn.id:
                look.head = turn.parent
        return True


def restored(turns: Iterable[Turn]) -> Transcript:
    """A tree of turns that were there before, under the ids they had; new ones get ids behind theirs.

    What hangs on a turn that is not among them is left out. The head is at none of them.
    """
    transcript = Transcript()
    tree = transcript._tree
    for turn in sorted(turns, key=lambda turn: turn.id):
        if turn.parent is None or turn.parent in tree.turns:
            tree.put(turn)
        tree.ids = itertools.count(turn.id + 1)
    return transcript
