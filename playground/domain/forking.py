"""Another way on from a token: a candidate taken, a text forced, a reply begun by hand."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from playground.domain.errors import BadInput
from playground.domain.messages import GenerationRequest, Role
from playground.domain.tokens import Token
from playground.domain.transcript import Transcript, Turn


def take(old: Token, choice: int) -> Token:
    """The token as it is when another of its candidates stands in its place.

    Args:
        old: The token that stands there, with the figures it had, or has under other parameters.
        choice: Index into its `top`.

    Raises:
        BadInput: There is no such candidate, it stands there already, or it is no text.
    """
    count = len(old.top)
    if not count:
        raise BadInput("No candidates are known for this token.", "Type what is to stand here: f forces a text.")
    if choice >= count:
        only = "is only one candidate" if count == 1 else f"are only {count} candidates"
        raise BadInput(f"There {only} for this token.", "Take one of the list, or force a text with f.")
    taken = old.top[choice]
    if taken.id == old.id and taken.piece == old.piece:
        raise BadInput("This is the token that stands there already.", "Take another candidate.")
    if taken.special:
        raise BadInput(
            "This is a control token: it would end the reply here, and is no text.", "Take another candidate."
        )
    return structs.replace(
        old,
        id=taken.id,
        piece=taken.piece,
        logprob=taken.logprob,
        prob=taken.prob,
        rank=choice + 1,
        special="",
        chunk=False,
        drafted=False,
    )


def forced(ids: Sequence[int], pieces: Sequence[bytes], first: int) -> list[Token]:
    """Tokens that a person put into a reply, numbered from `first`; what the model thinks of them is not known yet."""
    pairs = enumerate(zip(ids, pieces, strict=True), first)
    return [Token(index, id, piece, None, None, None, None) for index, (id, piece) in pairs]


def typed(text: str, index: int) -> Token:
    """A text that a person put into a reply, where nobody tells what tokens it has."""
    return Token(index, None, text.encode("utf-8", "replace"), None, None, None, None, chunk=True)


def plain(tokens: Sequence[Token]) -> list[Token]:
    """Tokens as nothing but their text: what another model knew about them says nothing about this one."""
    return [Token(token.index, None, token.piece, None, None, None, None, chunk=True) for token in tokens]


def text_of(tokens: Sequence[Token]) -> str:
    """The text of some tokens, for a model that takes no tokens.

    Raises BadInput where they begin or end inside a character.
    """
    try:
        return b"".join(token.piece for token in tokens).decode()
    except UnicodeDecodeError:
        raise BadInput(
            "This place is inside a character that is several tokens, and only whole text can be passed on here.",
            "Fork before or behind the character.",
        ) from None


def branch_at(
    tree: Transcript, turn: Turn, at: int, tokens: Sequence[Token], beginning: Sequence[Token] | None = None
) -> Turn:
    """Add a version of a reply that shares its first `at` tokens and goes on with `tokens`, put there by hand.

    It becomes the head, with the parameters that were in force at the fork. `beginning` stands in place of the shared
    tokens where the model that goes on splits their text otherwise.
    """
    kept = turn.tokens[:at] if beginning is None else beginning
    reply = tree.add(Role.ASSISTANT, turn.parent, tokens=[*kept, *tokens])
    reply.forked_at, reply.forked_from = len(kept), turn.id
    if beginning is None:
        reply.marks = [mark for mark in turn.marks if mark.at <= at]
        reply.by_hand = {index for index in turn.by_hand if index < at}
        reply.params = next((mark.params for mark in reversed(reply.marks) if mark.params is not None), turn.params)
    reply.by_hand |= set(range(len(kept), len(kept) + len(tokens)))
    return reply


def begun(request: GenerationRequest, reply: Turn, tokens: Sequence[Token]) -> GenerationRequest:
    """The request for a reply that a person has begun; its turn gets what they wrote."""
    reply.tokens[:] = tokens
    reply.by_hand = set(range(len(tokens)))
    reply.continued_at = len(tokens)
    ids = tuple(token.id for token in tokens if token.id is not None)
    return structs.replace(
        request, reply_ids=ids if len(ids) == len(tokens) else (), reply_text=text_of(tokens) if tokens else ""
    )


def put_figures(turn: Turn, first: int, scored: Sequence[Token]) -> bool:
    """Give tokens of a reply the figures that were found for them later; False when other tokens stand there."""
    there = turn.tokens[first : first + len(scored)]
    if [token.id for token in there] != [token.id for token in scored]:
        return False
    turn.tokens[first : first + len(scored)] = [
        structs.replace(new, index=old.index, time_ms=old.time_ms) for old, new in zip(there, scored, strict=True)
    ]
    return True


def check_whole(tree: Transcript) -> None:
    """Raise BadInput when the last reply on screen is still being written, by another pane that looks at its tree."""
    head = tree.turns.get(tree.head) if tree.head is not None else None
    if head is not None and head.writing:
        raise BadInput("Another pane is writing this reply.", "Wait for its end, or go to your own with Alt+Left.")
