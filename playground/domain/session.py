"""One pane's state. Plain Python: events go in, the screen draws what comes out."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, assert_never

from playground.domain.errors import BadInput, Problem
from playground.domain.events import Event, Failed, Finished, ParamsChanged, PromptProgress, Started, TokenGenerated
from playground.domain.messages import ChatPrompt, GenerationRequest, Message, Prompt, PromptParts, RawPrompt, Role
from playground.domain.sampling import SamplingParams, changed_fields
from playground.domain.transcript import Mark, Transcript, Turn

_stream_ids: Final = itertools.count(1)


class Phase(StrEnum):
    """What the pane is doing."""

    IDLE = "idle"
    SENT = "sent"
    """Submitted, nothing came back yet."""
    PREFILL = "prefill"
    WRITING = "writing"


@dataclass(slots=True)
class Figures:
    """The numbers of the latest run, None until they are known."""

    parts: PromptParts = field(default_factory=PromptParts)
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    reply_tokens: int = 0
    prefill_done: int = 0
    prefill_total: int = 0
    ttft_ms: float | None = None
    tokens_per_second: float | None = None
    prefill_tokens_per_second: float | None = None
    inter_token_p95_ms: float | None = None
    cost: float = 0.0
    """US dollars of the whole session."""
    cost_known: bool = True


class Session:
    """A conversation with one model: its branches, its parameters, the run under way."""

    def __init__(self, params: SamplingParams | None = None, system: str = "") -> None:
        self.params = params or SamplingParams()
        self.system = system
        self.mode: Literal["chat", "raw"] = "chat"
        self.transcript = Transcript()
        self.phase = Phase.IDLE
        self.figures = Figures()
        self.active: Turn | None = None
        self.stream = 0
        """Id of the run under way, or of the last one."""
        self._first_token_ms = 0.0
        self._new_tokens = 0
        self._in_force = self.params

    @property
    def busy(self) -> bool:
        """True from sending until the reply ended."""
        return self.phase is not Phase.IDLE

    def send(self, text: str) -> GenerationRequest:
        """Add what the person wrote and ask for a reply. Raises BadInput while a reply is being written."""
        self._check_idle()
        user = self.transcript.add(Role.USER, self.transcript.head, text=text)
        return self._reply_to(user)

    def regenerate(self) -> GenerationRequest:
        """Ask for another reply to the last message, as a branch beside the present one."""
        self._check_idle()
        user = self.transcript.last(Role.USER)
        if user is None:
            raise BadInput("There is nothing to answer yet.", "Write a prompt first.")
        return self._reply_to(user)

    def resend(self, turn: Turn, text: str) -> GenerationRequest:
        """Send an edited message as a branch beside the old one."""
        self._check_idle()
        user = self.transcript.add(Role.USER, turn.parent, text=text)
        return self._reply_to(user)

    def continue_reply(self) -> GenerationRequest:
        """Let the last reply go on where it ended."""
        self._check_idle()
        reply = self.transcript.last(Role.ASSISTANT)
        if reply is None or reply.id != self.transcript.head or not reply.kept_tokens:
            raise BadInput("There is no reply to continue.", "Send a prompt first.")
        reply.tokens[:] = reply.kept_tokens
        reply.trimmed_bytes, reply.finished, reply.problem = 0, None, None
        return self._request(reply)

    def new_conversation(self) -> None:
        """Leave the branch on screen and begin at an empty one; what was said stays in the tree."""
        self._check_idle()
        self.transcript.head = None
        cost, known = self.figures.cost, self.figures.cost_known
        self.figures = Figures(cost=cost, cost_known=known)

    def _check_idle(self) -> None:
        if self.busy:
            raise BadInput("A reply is still being written.", "Stop it with Esc, or wait for its end.")

    def _reply_to(self, user: Turn) -> GenerationRequest:
        return self._request(self.transcript.add(Role.ASSISTANT, user.id))

    def _request(self, reply: Turn) -> GenerationRequest:
        self.stream = next(_stream_ids)
        self.active, self.phase = reply, Phase.SENT
        reply.params = self._in_force = self.params
        self._new_tokens = 0
        self.figures.ttft_ms = self.figures.tokens_per_second = None
        ids = [token.id for token in reply.tokens]
        return GenerationRequest(
            stream=self.stream,
            prompt=self.prompt(reply.parent),
            params=self.params,
            reply_ids=tuple(token for token in ids if token is not None),
            reply_text=reply.content,
            submitted_at=time.monotonic(),
        )

    def prompt(self, to: int | None, draft: str = "") -> Prompt:
        """What a call would send: the branch up to turn `to`, and a draft behind it."""
        path = self.transcript.path(to) if to is not None else []
        if self.mode == "raw":
            return RawPrompt("".join(turn.content for turn in path) + draft)
        messages = [Message(Role.SYSTEM, self.system)] if self.system.strip() else []
        messages += [Message(turn.role, turn.content) for turn in path]
        if draft:
            messages.append(Message(Role.USER, draft))
        return ChatPrompt(tuple(messages))

    def apply(self, event: Event) -> None:
        """Take an event of the run under way; events of other runs are ignored."""
        turn = self.active
        if turn is None or event.stream != self.stream:
            return
        match event:
            case Started():
                self._started(turn, event)
            case PromptProgress():
                self.figures.prefill_done, self.figures.prefill_total = event.done, event.total
            case TokenGenerated():
                self._token(turn, event)
            case ParamsChanged():
                turn.marks.append(Mark(event.index, describe_change(self._in_force, event.params)))
                self._in_force = event.params
            case Finished():
                self._finished(turn, event)
            case Failed():
                self._end(turn, event.problem)
            case _:
                assert_never(event)

    def _started(self, turn: Turn, event: Started) -> None:
        turn.started = event
        self.phase = Phase.PREFILL
        figures = self.figures
        figures.parts, figures.prompt_tokens, figures.cached_tokens = (
            event.parts,
            event.prompt_tokens,
            event.cached_tokens,
        )
        figures.prefill_done, figures.reply_tokens = 0, 0
        figures.prefill_total = (event.prompt_tokens or 0) - (event.cached_tokens or 0)

    def _token(self, turn: Turn, event: TokenGenerated) -> None:
        turn.tokens.append(event.token)
        self.phase = Phase.WRITING
        self._new_tokens += 1
        figures, now_ms = self.figures, event.token.time_ms
        figures.reply_tokens = self._new_tokens
        if self._new_tokens == 1:
            figures.ttft_ms = self._first_token_ms = now_ms
        elif now_ms > self._first_token_ms:
            figures.tokens_per_second = (self._new_tokens - 1) * 1000 / (now_ms - self._first_token_ms)

    def _finished(self, turn: Turn, event: Finished) -> None:
        turn.finished = event
        turn.trimmed_bytes = event.trimmed_bytes
        figures, timings = self.figures, event.timings
        figures.tokens_per_second = timings.tokens_per_second or figures.tokens_per_second
        figures.prefill_tokens_per_second = timings.prefill_tokens_per_second
        figures.inter_token_p95_ms = timings.inter_token_p95_ms
        if event.usage.cost is None:
            figures.cost_known = False
        else:
            figures.cost += event.usage.cost
        self._end(turn, None)

    def _end(self, turn: Turn, problem: Problem | None) -> None:
        turn.problem = problem
        self.active, self.phase = None, Phase.IDLE

    def discard_last_exchange(self) -> str:
        """Take back a message that was refused before anything was written; returns its text."""
        reply = self.transcript.last(Role.ASSISTANT)
        if reply is None or reply.tokens or reply.id != self.transcript.head:
            return ""
        user = self.transcript.turns.get(reply.parent) if reply.parent is not None else None
        del self.transcript.turns[reply.id]
        self.transcript.head = reply.parent
        if user is None:
            return ""
        if not any(other.parent == user.id for other in self.transcript.turns.values()):
            del self.transcript.turns[user.id]
            self.transcript.head = user.parent
        return user.text


def describe_change(old: SamplingParams, new: SamplingParams) -> str:
    """Such as "temperature 0.8 → 1.2, top_k 40 → 0"."""
    return ", ".join(
        f"{name} {_brief(before)} → {_brief(after)}" for name, (before, after) in changed_fields(old, new).items()
    )


def _brief(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (tuple, dict)):
        return f"({len(value)})"
    return str(value)
