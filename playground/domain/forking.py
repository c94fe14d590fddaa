"""Another way on from a token: a candidate taken, a text forced, a reply begun by hand."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from playground.domain.errors import BadInput
from playground.domain.messages import Role
from playground.domain.tokens import Token
from playground.domain.transcript import Transcript, Turn


def take(old: Token, choice: int) -> Token:
    """The token as it is when another of its candidates stands in its place.

    Args:
        old: The token that stands there.
        choice: Index into its `top`.

    Raises:
        BadInput: The candidate stands there already, or would end the reply.
    """
    taken = old.top[choice]
    if taken.id == old.id and taken.piece == old.piece:
        raise BadInput("This is the token that stands there already.", "Take another candidate.")
    if taken.special:
        raise BadInput("This token would end the reply here.", "Take another candidate.")
    return structs.replace(
        old,
        id=taken.id,
        piece=taken.piece,
        logprob=taken.logprob,
        prob=taken.prob,
        rank=choice + 1,
        special="",
        drafted=False,
    )


def branch_at(tree: Transcript, turn: Turn, at: int, tokens: Sequence[Token]) -> Turn:
    """Add a version of a reply that shares its first `at` tokens and goes on with `tokens`, put there by hand.

    It becomes the head. The parameters' changes up to the fork are taken over.
    """
    reply = tree.add(Role.ASSISTANT, turn.parent, tokens=[*turn.tokens[:at], *tokens])
    reply.forked_at, reply.forked_from = at, turn.id
    reply.marks = [mark for mark in turn.marks if mark.at <= at]
    reply.by_hand = {index for index in turn.by_hand if index < at} | set(range(at, at + len(tokens)))
    return reply


def check_whole(tree: Transcript) -> None:
    """Raise BadInput when the last reply on screen is still being written, by another pane that looks at its tree."""
    head = tree.turns.get(tree.head) if tree.head is not None else None
    if head is not None and head.writing:
        raise BadInput("Another pane is writing this reply.", "Wait for its end, or go to your own with Alt+Left.")
