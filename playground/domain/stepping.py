"""Writing a reply token by token: drawn by the samplers or put there by hand, and taken back."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from playground.domain.errors import BadInput
from playground.domain.events import Finished, StopReason
from playground.domain.forking import branch_at
from playground.domain.messages import GenerationRequest, Prompt, Role
from playground.domain.sampling import SamplingParams
from playground.domain.session import Phase, Session, describe_change
from playground.domain.tokens import Token
from playground.domain.transcript import Mark, Turn
from playground.domain.usage import Timings, Usage
from playground.domain.what_if import WhatIf, WhatIfRequest

_SEEDS: Final = 2**32 - 1
_GOES_ON: Final = (StopReason.LENGTH, StopReason.CANCELLED)
"""Reasons that end a run of one token, and not the reply."""


def waiting(session: Session) -> Turn | None:
    """The reply on screen that waits for a token; None when there is none, it has ended or is being written."""
    tree = session.transcript
    reply = tree.turns.get(tree.head) if tree.head is not None else None
    open_ended = reply is not None and reply.role is Role.ASSISTANT and reply.finished is None and not reply.writing
    return reply if open_ended and not session.busy else None


def reopen(session: Session) -> None:
    """Let the reply on screen wait for its next token if it was cut off; one that has ended stays as it is."""
    tree = session.transcript
    reply = tree.turns.get(tree.head) if tree.head is not None else None
    if reply is not None and reply.stop_reason in _GOES_ON:
        reply.finished = reply.problem = None


def leave(session: Session) -> None:
    """Before something is said behind a reply that waits for a token: it ends there.

    Raises BadInput when it has none yet, for then nothing could be said behind it.
    """
    reply = waiting(session)
    if reply is None or reply.problem is not None:
        return
    if not reply.tokens:
        raise BadInput("The reply waits for its first token.", "Space draws it, Alt+S lets the reply be written.")
    _end_here(session, reply)


def leave_behind(session: Session) -> None:
    """Before something else comes on screen: a reply that waits for a token ends where it is."""
    reply = waiting(session)
    if reply is not None and reply.problem is None:
        _end_here(session, reply)


def come_back(session: Session) -> None:
    """Let a reply that was left behind wait for its next token again."""
    tree = session.transcript
    reply = tree.turns.get(tree.head) if tree.head is not None else None
    if reply is not None and reply.stop_reason is StopReason.CANCELLED:
        reopened = reply.finished is not None and reply.finished.timings == Timings()
        reply.finished = None if reopened else reply.finished


def _end_here(session: Session, reply: Turn) -> None:
    usage = Usage(completion_tokens=len(reply.tokens), cost=0.0)
    reply.finished = Finished(
        stream=session.stream, reason=StopReason.CANCELLED, text=reply.content, usage=usage, timings=Timings()
    )


def hold(session: Session) -> None:
    """Take back the request that the session has just made: its reply waits for a token instead."""
    if session.active is not None:
        session.active.writing = False
    session.active, session.phase = None, Phase.IDLE


def next_position(reply: Turn, prompt: Prompt, params: SamplingParams, asker: int) -> WhatIfRequest:
    """The question what could come next."""
    ids = tuple(token.id for token in reply.tokens if token.id is not None)
    return WhatIfRequest(prompt=prompt, reply_ids=ids, chosen=None, params=params, asker=asker)


def step(session: Session, prompt: Prompt) -> GenerationRequest:
    """Ask for one token behind the reply that waits for it. Raises BadInput when none does.

    Each run has samplers of its own. With one seed all of them would draw with the same random number, so the token's
    place is added to it: the same steps give the same tokens, though not those of a reply that is written in one go.
    """
    reply = waiting(session)
    if reply is None:
        raise ended()
    note_change(session, reply)
    reply.problem = None
    request = session.go_on(reply, prompt)
    seed = session.params.seed
    seed = None if seed is None else (seed + len(reply.tokens)) % _SEEDS
    return structs.replace(request, params=structs.replace(request.params, max_tokens=1, seed=seed))


def note_change(session: Session, reply: Turn) -> None:
    """Mark the place when other parameters are in force than for the token before."""
    before, now = reply.params, session.params
    if reply.tokens and before is not None and before != now:
        text = describe_change(before, now, most=2, names=session.token_names)
        reply.marks.append(Mark(len(reply.tokens), text, now))
    reply.params = now


def ended() -> BadInput:
    """What to say when no token can come."""
    return BadInput(
        "There is no reply that waits for a token.",
        "Send a prompt, or take the end of this one back with Backspace.",
    )


def tidy(session: Session) -> None:
    """After events of a run of one token: it did not end the reply, and its times say nothing about the reply's."""
    reply = session.transcript.last(Role.ASSISTANT)
    figures = session.figures
    figures.ttft_ms = figures.first_token_ms = figures.tokens_per_second = None
    if reply is None:
        return
    if reply.started is not None:
        reply.started = structs.replace(reply.started, seed=session.params.seed)
    if reply.finished is not None and not session.busy:
        reply.finished = None if reply.finished.reason in _GOES_ON else _whole(reply, reply.finished)


def _whole(reply: Turn, last: Finished) -> Finished:
    """The end of the last step as the end of the reply."""
    prompt_tokens = last.usage.prompt_tokens
    usage = Usage(
        prompt_tokens=None if prompt_tokens is None else prompt_tokens - reply.continued_at,
        completion_tokens=len(reply.tokens),
        cost=last.usage.cost,
    )
    return structs.replace(last, usage=usage, timings=Timings(memory_bytes=last.timings.memory_bytes))


def put(session: Session, reply: Turn, found: WhatIf, choice: int) -> Token:
    """Put a candidate behind a reply, with the figures it has there; a special one ends the reply.

    Args:
        session: Whose reply it is.
        reply: What `waiting` gave.
        found: The position behind its last token.
        choice: Index into `found.token.top`.
    """
    taken, index = found.token.top[choice], len(reply.tokens)
    note_change(session, reply)
    token = structs.replace(
        found.token,
        index=index,
        id=taken.id,
        piece=b"" if taken.special else taken.piece,
        logprob=taken.logprob,
        prob=taken.prob,
        rank=choice + 1,
        special=taken.piece.decode("utf-8", "replace") if taken.special else "",
    )
    reply.tokens.append(token)
    reply.by_hand.add(index)
    reply.model, reply.problem = session.model, None
    if token.special:
        usage = Usage(completion_tokens=len(reply.tokens), cost=0.0)
        reply.finished = Finished(
            stream=session.stream, reason=StopReason.STOP, text=reply.content, usage=usage, timings=Timings()
        )
    return token


def take_back(session: Session) -> None:
    """Take the last token of the reply on screen back. Nothing is lost: a version with that token stays.

    Raises BadInput when there is no token.
    """
    tree = session.transcript
    reply = tree.turns.get(tree.head) if tree.head is not None else None
    if reply is None or reply.role is not Role.ASSISTANT or not reply.tokens:
        raise BadInput("There is no token to take back.", "Space draws one.")
    left = len(reply.tokens) - 1
    if reply.forked_at is None or left >= reply.forked_at or reply.finished is not None:
        leave_behind(session)
        taken = branch_at(tree, reply, left, [])
        taken.model, taken.params, taken.started = reply.model, reply.params, reply.started
        return
    # All that is left stands in the version this one was made from as well.
    reply.tokens.pop()
    reply.forked_at = left
    reply.by_hand.discard(left)
    reply.marks = [mark for mark in reply.marks if mark.at <= left]
    reply.problem = None
