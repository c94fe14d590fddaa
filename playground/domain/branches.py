"""The branches of a conversation: which came from which, where they part, and how likely the model found them.

What a branch came from, its origin:

- a fork: the reply whose tokens it took over. Where it parts before the place at which that reply was itself forked,
  or right there, the two are alternatives of one another: then it is the reply that both took their tokens from.
- an edited message: the message as it was before;
- another reply to the same message: the first reply to it.

What was deleted is passed over, see `partings`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from playground.domain.messages import Role
from playground.domain.partings import Place, places
from playground.domain.tokens import Token, join_text
from playground.domain.transcript import Begun, Transcript, Turn


@dataclass(slots=True, eq=False)
class Branch:
    """A row of the tree: turns without a parting between them."""

    line: list[Turn]
    """At least one; each stands behind the one before and is the only one that does."""
    parent: Branch | None = None
    depth: int = 0
    number: int = 1
    """Which turn of the conversation the first one is, counted from 1."""
    last: bool = True
    """The last of those with the same parent."""
    source: Turn | None = None
    """The version its first turn hangs on; None for one that hangs on none."""
    begins_at: int = 0
    """Index of the first token of its own in the first turn."""

    @property
    def turn(self) -> Turn:
        """The turn with which it begins."""
        return self.line[0]

    @property
    def last_reply(self) -> Turn | None:
        """The reply that was written last; None for a message alone."""
        return next((turn for turn in reversed(self.line) if turn.role is Role.ASSISTANT), None)


class Parting(NamedTuple):
    """What a fork put in place of what."""

    was: Token | None
    """The token that stood there; None when the reply had ended there, or nobody knows any more."""
    ended: bool
    """True when the reply ended there."""
    became: list[Token]
    """Tokens put there by hand, else the one that the samplers drew there this time."""


class Likelihood(NamedTuple):
    """How likely the model found some tokens. Those put there by hand count like all, the end token too."""

    tokens: int
    measured: int
    """How many of them came with a log-probability."""
    known: float
    """Sum of the log-probabilities that came, natural log of the model's own probability."""

    @property
    def logprob(self) -> float | None:
        """Log-probability of the whole; None unless that of every token is known."""
        return self.known if self.tokens and self.measured == self.tokens else None

    @property
    def per_token(self) -> float | None:
        """Mean log-probability of a token; None unless that of every token is known."""
        return self.known / self.tokens if self.logprob is not None else None


def source(tree: Transcript, turn: Turn) -> Turn | None:
    """The version in the tree that a fork or an edited message hangs on; None for what hangs on none."""
    if turn.forked_at is None:
        return _message_before(tree, turn)
    place = places(tree, turn.parent).get(turn.id)
    return place.source if place is not None else None


def begins_at(tree: Transcript, turn: Turn) -> int:
    """Index of the first token of its own, where it parts from the version it hangs on."""
    place = places(tree, turn.parent).get(turn.id) if turn.forked_at is not None else None
    return place.at if place is not None else 0


def _message_before(tree: Transcript, turn: Turn) -> Turn | None:
    found = tree.find(turn.forked_from)
    while found is not None and found.id not in tree.turns:
        found = tree.find(found.forked_from)
    return found


def origins(tree: Transcript, parent: int | None) -> dict[int, Turn]:
    """By id, the version that each turn behind one came from, see above; without those that came from none."""
    hanging = places(tree, parent)
    found: dict[int, Turn] = {turn_id: place.source for turn_id, place in hanging.items()}
    first: dict[Role, Turn] = {}
    for turn in tree.children(parent):
        if turn.id in found:
            continue
        before = _message_before(tree, turn) if turn.forked_at is None else None
        if before is None and parent is not None:
            before = first.get(turn.role)
        first.setdefault(turn.role, turn)
        if before is not None:
            found[turn.id] = before
    return found


def origin(tree: Transcript, turn: Turn) -> Turn | None:
    """The version a turn came from, see above; None for the first one and for the beginning of a conversation."""
    return origins(tree, turn.parent).get(turn.id)


def way_up(tree: Transcript, start: Turn) -> tuple[Turn, Turn] | None:
    """Where the branch through `start` began, and what it came from; None at the root."""
    for turn in reversed(tree.path(start.id)):
        found = origin(tree, turn)
        if found is not None:
            return turn, found
    return None


def way_down(tree: Transcript, start: Turn) -> Turn | None:
    """The newest turn that came from the branch ending with `start`, of those that part from it the furthest down."""
    for turn in reversed(tree.path(start.id)):
        came_from = origins(tree, turn.parent)
        newest = next((other for other in reversed(tree.siblings(turn)) if came_from.get(other.id) is turn), None)
        if newest is not None:
            return newest
        if turn.id in came_from:
            return None
    return None


def begun(tree: Transcript, turn: Turn) -> Begun:
    """How a turn began."""
    if turn.role is Role.USER:
        return Begun.EDITED if turn.forked_from is not None else Begun.MESSAGE
    if turn.forked_from is None:
        return Begun.PREFILL if 0 in turn.by_hand else turn.begun or Begun.REPLY
    if turn.begun is not None:
        return turn.begun
    # How it began stays as it was: it goes by what it was made from, be that deleted.
    parting = _parting(tree.find(turn.forked_from), turn, turn.forked_at or 0)
    if turn.forked_at not in turn.by_hand:
        return Begun.AGAIN
    offered = {(candidate.id, candidate.piece) for candidate in parting.was.top} if parting.was is not None else set()
    first, *more = parting.became
    return Begun.CANDIDATE if not more and (first.id, first.piece) in offered else Begun.FORCED


def parting_of(branch: Branch) -> Parting | None:
    """What a fork put in place of what stands in the version it hangs on; None for what hangs on none."""
    if branch.source is None or branch.turn.forked_at is None:
        return None
    return _parting(branch.source, branch.turn, branch.begins_at)


def _parting(old: Turn | None, turn: Turn, at: int) -> Parting:
    end = at + 1
    while at in turn.by_hand and end in turn.by_hand:
        end += 1
    was = _token_behind(old, sum(len(token.piece) for token in turn.tokens[:at])) if old is not None else None
    ended = old is not None and (was is None or bool(was.special))
    return Parting(was if was is not None and not was.special else None, ended, turn.tokens[at:end])


def _token_behind(turn: Turn, size: int) -> Token | None:
    """The token behind so many bytes: another model may have split what was taken over into more tokens, or fewer."""
    for token in turn.tokens:
        if size <= 0:
            return token
        size -= len(token.piece)
    return None


def likelihood(branch: Branch) -> Likelihood:
    """How likely the model found the branch's own tokens, from the fork on. Costs its length."""
    return _likelihood(token for turn, start in _own(branch) for token in turn.tokens[start:])


def whole_reply(branch: Branch) -> Likelihood:
    """How likely it found the whole of the branch's first reply, which those beside it can be compared with."""
    reply = next((turn for turn in branch.line if turn.role is Role.ASSISTANT), None)
    return _likelihood(reply.tokens if reply is not None else ())


def _likelihood(tokens: Iterable[Token]) -> Likelihood:
    all_of_them = [token.logprob for token in tokens]
    known = [logprob for logprob in all_of_them if logprob is not None]
    return Likelihood(len(all_of_them), len(known), math.fsum(known))


def spoken(branch: Branch, limit: int, *, skip: int = 0) -> Iterator[tuple[Turn, str]]:
    """The turns of a branch and what they say, from the fork on; costs no more than what is given.

    Args:
        branch: The branch.
        limit: About how many characters are wanted in all.
        skip: How many of its own tokens are left out at the beginning.
    """
    for turn, start in _own(branch):
        if limit <= 0:
            return
        text = turn.text[:limit] if turn.role is not Role.ASSISTANT else _reply_text(turn, start + skip, limit)
        limit, skip = limit - len(text), 0
        yield turn, text


def _own(branch: Branch) -> Iterator[tuple[Turn, int]]:
    for turn in branch.line:
        yield turn, branch.begins_at if turn is branch.turn else 0


def _reply_text(turn: Turn, start: int, limit: int) -> str:
    pieces: list[bytes] = []
    size = 0
    for index in range(start, len(turn.tokens)):
        pieces.append(turn.tokens[index].piece)
        size += len(pieces[-1])
        if size >= 4 * limit:
            break
    else:
        joined = b"".join(pieces)
        pieces = [joined[: max(0, len(joined) - turn.trimmed_bytes)]]
    return join_text(pieces)[:limit]


def branches(tree: Transcript) -> list[Branch]:
    """All branches as rows of a tree, each behind its parent: forks by their place in the text, then by age."""
    rows: list[Branch] = []
    forks: dict[int, list[tuple[Turn, Place]]] = {}
    waiting = _open(tree, None, None, forks)
    while waiting:
        branch = waiting.pop()
        rows.append(branch)
        line = branch.line
        while len(behind := tree.children(line[-1].id)) == 1:
            line += behind
        waiting += _open(tree, branch, line[-1].id, forks)
    return rows


def _open(
    tree: Transcript, parent: Branch | None, behind: int | None, forks: dict[int, list[tuple[Turn, Place]]]
) -> list[Branch]:
    """Branches right below one, the last of them first; what took its beginning from another goes into `forks`."""
    plain: list[Turn] = []
    hanging = places(tree, behind)
    for turn in tree.children(behind):
        place = hanging.get(turn.id)
        if place is None:
            plain.append(turn)
        else:
            forks.setdefault(place.source.id, []).append((turn, place))
    if parent is None:
        found = [Branch([turn]) for turn in plain]
    else:
        off = sorted(forks.pop(parent.turn.id, []), key=lambda fork: (fork[1].at, fork[0].id))
        depth, below = parent.depth + 1, parent.number + len(parent.line)
        found = [Branch([turn], parent, depth, parent.number, True, *place) for turn, place in off]
        found += [Branch([turn], parent, depth, below) for turn in plain]
    for branch in found[:-1]:
        branch.last = False
    return found[::-1]
