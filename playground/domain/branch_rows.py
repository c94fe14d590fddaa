"""What a row of the tree of branches says."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final, NamedTuple

from playground.domain.branches import Branch, Likelihood, Parting, begun, likelihood, parting_of, spoken, whole_reply
from playground.domain.display import display_line, visible_piece
from playground.domain.messages import Role
from playground.domain.transcript import Begun, Transcript, Turn

SHOWN: Final = 240
"""Characters of a branch's text that a row can have use for."""
NEVER: Final = "-∞"
WRITING: Final = "writing"
UNENDED: Final = "not ended"
ENDED: Final = "end"
IN_WORDS: Final = {
    Begun.MESSAGE: "a message",
    Begun.EDITED: "a message that was edited",
    Begun.REPLY: "the first reply to its message",
    Begun.AGAIN: "another reply to the same message",
    Begun.CANDIDATE: "another candidate was taken",
    Begun.FORCED: "a text was put in by hand",
    Begun.FAN_OUT: "one of several candidates side by side",
    Begun.PREFILL: "its beginning was written by hand",
}
"""How a branch began, for a person."""


class BranchRow(NamedTuple):
    """A branch in words and figures, safe to be drawn. Figures of what was never measured are None."""

    title: str
    was: str
    """The token that a fork replaced; empty for what is no fork."""
    became: str
    """What a person put in its place."""
    said: tuple[tuple[Role, str], ...]
    """The text that follows, a line for each turn; cut."""
    how: Begun
    continued_at: int | None
    """Token at which a reply that had ended was let go on; None for one that was not."""
    forked: bool
    """Hangs on another version of the same reply, from which it took its beginning over."""
    whole: Likelihood
    """Of its first reply, from that one's first token on."""
    likelihood: Likelihood
    """Of all that is its own, from the fork on."""
    ending: str
    model: str


def row_of(tree: Transcript, branch: Branch, active: Collection[Turn] = ()) -> BranchRow:
    """What is to be said of a branch; `active` are the replies that are being written."""
    turn, reply = branch.turn, branch.last_reply
    parting = parting_of(branch)
    put = len(parting.became) if parting is not None else 0
    said = [
        (one.role, _line(text, keep_space=bool(put) and one is turn)) for one, text in spoken(branch, SHOWN, skip=put)
    ]
    return BranchRow(
        title=display_line(turn.title),
        was=_was(parting),
        became=visible_piece(b"".join(token.piece for token in parting.became)) if parting is not None else "",
        said=tuple(said),
        how=begun(tree, turn),
        continued_at=_continued_at(reply) if reply is not None else None,
        forked=parting is not None,
        whole=whole_reply(branch),
        likelihood=likelihood(branch),
        ending=_ending(reply, active) if reply is not None else "",
        model=display_line(reply.model.replace("\\", "/").rsplit("/", 1)[-1]) if reply is not None else "",
    )


def logprob_text(value: float | None, digits: int = 2) -> str:
    """A log-probability, such as "-12.34"; empty for None, since what to draw then is for the caller to say."""
    if value is None:
        return ""
    if value == -math.inf:
        return NEVER
    return f"{value:,.{digits}f}" if value > -9999.995 else f"{value:,.0f}"


def _line(text: str, *, keep_space: bool) -> str:
    """One line; the space that parts it from a token drawn before it stays."""
    return f" {display_line(text)}" if keep_space and text[:1].isspace() else display_line(text)


def _was(parting: Parting | None) -> str:
    if parting is None:
        return ""
    if parting.was is not None:
        return visible_piece(parting.was.piece)
    return ENDED if parting.ended else ""


def _continued_at(reply: Turn) -> int | None:
    """A run that began behind what was taken over and put there by hand is the first one, any other goes on."""
    first = reply.forked_at or 0
    while first in reply.by_hand:
        first += 1
    return reply.continued_at if reply.continued_at > first else None


def _ending(reply: Turn, active: Collection[Turn]) -> str:
    if reply in active:
        return WRITING
    if reply.problem is not None:
        return reply.problem.kind_in_words
    return reply.finished.reason.sentence if reply.finished is not None else UNENDED
