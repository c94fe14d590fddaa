"""Events as a backend sends them, made by hand."""

from __future__ import annotations

from playground.domain.errors import Problem
from playground.domain.events import Failed, Finished, Started, StopReason, TokenGenerated
from playground.domain.messages import PromptParts
from playground.domain.sampling import SamplingParams
from playground.domain.session import Session
from playground.domain.tokens import Token
from playground.domain.usage import Timings, Usage


def token(index: int, text: str, *, special: str = "") -> Token:
    piece = b"" if special else text.encode()
    return Token(
        index=index,
        id=100 + index,
        piece=piece,
        logprob=-0.5,
        prob=0.6,
        rank=1,
        entropy=1.0,
        time_ms=100.0 + 20.0 * index,
        special=special,
    )


def start(session: Session, **changes: object) -> None:
    session.apply(
        Started(
            stream=session.stream,
            prompt_tokens=20,
            cached_tokens=5,
            params=SamplingParams(),
            seed=1,
            parts=PromptParts(4, 6, 10),
        )
    )


def write(session: Session, *texts: str) -> None:
    """Tokens of these texts, behind what the reply holds."""
    assert session.active is not None
    for text in texts:
        session.apply(TokenGenerated(stream=session.stream, token=token(len(session.active.tokens), text)))


def end(session: Session, reason: StopReason = StopReason.STOP, *, trimmed: int = 0, cost: float | None = 0.0) -> None:
    session.apply(
        Finished(
            stream=session.stream,
            reason=reason,
            text="",
            usage=Usage(prompt_tokens=20, cached_tokens=5, completion_tokens=1, cost=cost),
            timings=Timings(ttft_ms=100.0, tokens_per_second=50.0, prefill_tokens_per_second=900.0),
            trimmed_bytes=trimmed,
        )
    )


def fail(session: Session, message: str = "It broke.") -> None:
    session.apply(Failed(stream=session.stream, problem=Problem(kind="EngineDied", message=message)))


def exchange(session: Session, question: str, *texts: str, reason: StopReason = StopReason.STOP) -> None:
    """One whole turn."""
    session.send(question)
    start(session)
    write(session, *texts)
    end(session, reason)
