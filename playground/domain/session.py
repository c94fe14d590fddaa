"""One pane's state. Plain Python: events go in, the screen draws what comes out."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Literal, assert_never

from msgspec import structs

from playground.domain.biases import NO_NAMES, describe_bias_change
from playground.domain.errors import BadInput, Problem
from playground.domain.events import (
    Event,
    Failed,
    FellBack,
    Finished,
    ParamsChanged,
    PromptProgress,
    Retrying,
    Started,
    ThinkingGenerated,
    TokenGenerated,
)
from playground.domain.figures import Figures
from playground.domain.forking import check_whole
from playground.domain.messages import CallOptions, ChatPrompt, GenerationRequest, Message, Prompt, RawPrompt, Role
from playground.domain.sampling import SamplingParams, changed_fields
from playground.domain.tokens import packed
from playground.domain.transcript import INTERRUPTED, Begun, Mark, Transcript, Turn

_stream_ids: Final = itertools.count(1)


class Phase(StrEnum):
    """What the pane is doing."""

    IDLE = "idle"
    SENT = "sent"
    """Submitted, nothing came back yet."""
    PREFILL = "prefill"
    THINKING = "thinking"
    """A hosted model thinks before it answers."""
    RETRYING = "retrying"
    """An attempt failed; the next one waits for its time."""
    WRITING = "writing"


class Session:
    """A conversation with one model: its branches, its parameters, the run under way."""

    def __init__(self, params: SamplingParams | None = None, system: str = "") -> None:
        self.params = params or SamplingParams()
        self.system = system
        self.options = CallOptions()
        self.watch: tuple[str, ...] = ()
        """Words whose probability is told with each token, from the next request on."""
        self.token_names: Mapping[str, str] = {}
        """Texts of tokens by "#id", as far as they are known, for changes of the logit bias in words."""
        self.model = ""
        """Name of the model that answers now; a reply keeps the one that wrote it."""
        self.retrying: Retrying | None = None
        """The attempt that is waited for, while the phase says so."""
        self.mode: Literal["chat", "raw"] = "chat"
        self.transcript = Transcript()
        self.phase = Phase.IDLE
        self.figures = Figures()
        self.active: Turn | None = None
        self.stream = 0
        """Id of the run under way, or of the last one."""
        self._new_tokens = 0
        self._in_force = self.params
        self._marked_from = self.params
        """Parameters before the last mark, for a mark that grows before a token was drawn."""
        self._named: tuple[SamplingParams, str] | None = None

    @property
    def busy(self) -> bool:
        """True from sending until the reply ended."""
        return self.phase is not Phase.IDLE

    def send(self, text: str) -> GenerationRequest:
        """Add what the person wrote and ask for a reply. Raises BadInput while a reply is being written."""
        self.check_idle()
        check_whole(self.transcript)
        return self._reply_to(self._say(self.transcript.head, text))

    def regenerate(self) -> GenerationRequest:
        """Ask for another reply to the last message, as a branch beside the present one."""
        self.check_idle()
        user = self.transcript.last(Role.USER)
        if user is None:
            raise BadInput("There is nothing to answer yet.", "Write a prompt first.")
        return self._reply_to(user)

    def resend(self, turn: Turn, text: str) -> GenerationRequest:
        """Send an edited message as a branch beside the old one."""
        self.check_idle()
        said = self._say(turn.parent, text)
        said.forked_from = turn.id
        return self._reply_to(said)

    def continue_reply(self) -> GenerationRequest:
        """Let the last reply go on where it ended."""
        self.check_idle()
        check_whole(self.transcript)
        reply = self.transcript.last(Role.ASSISTANT)
        begun = reply is not None and (reply.kept_tokens or not (reply.finished or reply.problem))
        if reply is None or reply.id != self.transcript.head or not begun:
            raise BadInput("There is no reply to continue.", "Send a prompt first.")
        reply.tokens[:] = reply.kept_tokens
        reply.trimmed_bytes, reply.finished, reply.problem = 0, None, None
        reply.notes[:] = [note for note in reply.notes if note != INTERRUPTED]
        return self._request(reply)

    def go_on(self, reply: Turn, prompt: Prompt) -> GenerationRequest:
        """Ask for what follows the beginning that a reply has. Raises BadInput while a reply is being written."""
        self.check_idle()
        return self._request(reply, prompt)

    def new_conversation(self) -> None:
        """Leave the branch on screen and begin at an empty one; what was said stays in the tree."""
        self.check_idle()
        self.transcript.head = None
        self.figures = Figures()

    def show_branch(self, leaf: Turn) -> None:
        """Put another branch on screen, with the figures of its last reply. Raises BadInput while one is written."""
        self.check_idle()
        self.transcript.head = leaf.id
        self.mode = "raw" if self.transcript.path()[0].raw else "chat"
        self.figures = Figures()
        reply = self.transcript.last(Role.ASSISTANT)
        if reply is not None and reply.started is not None:
            self.figures.started(reply.started)
            self.figures.reply_tokens = len(reply.tokens) - reply.continued_at
        if reply is not None and reply.finished is not None:
            self.figures.ttft_ms = reply.finished.timings.ttft_ms
            self.figures.finished(reply.finished)

    def name_change(self, params: SamplingParams, name: str) -> None:
        """Say by what name a change to these parameters is to be marked in the transcript."""
        self._named = (params, name)

    def check_idle(self) -> None:
        """Raise BadInput while a reply is being written."""
        if self.busy:
            raise BadInput("A reply is still being written.", "Stop it with Esc, or wait for its end.")

    def _say(self, parent: int | None, text: str) -> Turn:
        user = self.transcript.add(Role.USER, parent, text=text)
        user.raw = self.mode == "raw"
        return user

    def _reply_to(self, user: Turn) -> GenerationRequest:
        reply = self.transcript.add(Role.ASSISTANT, user.id)
        reply.begun = Begun.AGAIN if len(self.transcript.siblings(reply)) > 1 else Begun.REPLY
        return self._request(reply)

    def _request(self, reply: Turn, prompt: Prompt | None = None) -> GenerationRequest:
        self.stream = next(_stream_ids)
        self.active, self.phase = reply, Phase.SENT
        reply.writing, reply.params = True, self.params
        self._in_force = self.params
        reply.model = self.model
        self._new_tokens = 0
        reply.continued_at = len(reply.tokens)
        reply.prompt = prompt or self.prompt(reply.parent)
        self.figures.sent()
        ids = [token.id for token in reply.tokens]
        return GenerationRequest(
            stream=self.stream,
            prompt=reply.prompt,
            params=self.params,
            options=self.options,
            reply_ids=tuple(token for token in ids if token is not None) if None not in ids else (),
            reply_text=reply.content,
            watch=self.watch,
            submitted_at=time.monotonic(),
        )

    def prompt(self, to: int | None, draft: str = "") -> Prompt:
        """What a call would send: the branch up to turn `to`, and a draft behind it.

        A reply without a word, such as one that failed, is left out: what was asked before it still stands.
        """
        path = self.transcript.path(to) if to is not None else []
        if self.mode == "raw":
            return RawPrompt("".join(turn.content for turn in path) + draft)
        messages = [Message(Role.SYSTEM, self.system)] if self.system.strip() else []
        spoken = [Message(turn.role, turn.content) for turn in path]
        messages += [one for one in spoken if one.role is not Role.ASSISTANT or one.content.strip()]
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
            case ThinkingGenerated():
                turn.thinking += event.text
                began_ms = turn.thinking_ms[0] if turn.thinking_ms else event.time_ms
                turn.thinking_ms = (began_ms, event.time_ms)
                self.phase = Phase.THINKING
                self.figures.thought(event.time_ms)
            case TokenGenerated():
                self._token(turn, event)
            case Retrying():
                self._retrying(turn, event)
            case FellBack():
                turn.notes.append(f"{event.card.short_name} took over: {event.problem.message}")
                turn.model = event.card.short_name
            case ParamsChanged():
                self._params_changed(turn, event)
            case Finished():
                self._finished(turn, event)
            case Failed():
                self._end(turn, event.problem)
            case _:
                assert_never(event)

    def _started(self, turn: Turn, event: Started) -> None:
        turn.started = event
        self.phase = Phase.PREFILL
        self.figures.started(event)

    def _token(self, turn: Turn, event: TokenGenerated) -> None:
        token, index = event.token, len(turn.tokens)
        # A server counts from where it began to write.
        turn.tokens.append(packed(token if token.index == index else structs.replace(token, index=index)))
        self.phase = Phase.WRITING
        self._new_tokens += 1
        self.figures.token(self._new_tokens, event.token.time_ms, chunk=event.token.chunk)

    def _retrying(self, turn: Turn, event: Retrying) -> None:
        self.retrying, self.phase = event, Phase.RETRYING
        change = f" Next: {event.change}." if event.change else ""
        turn.notes.append(f"attempt {event.attempt} of {event.attempts}: {event.problem.message}{change}")

    def _finished(self, turn: Turn, event: Finished) -> None:
        turn.finished = event
        turn.trimmed_bytes = event.trimmed_bytes
        self.figures.finished(event)
        self._end(turn, None)

    def _params_changed(self, turn: Turn, event: ParamsChanged) -> None:
        if turn.marks and turn.marks[-1].at == event.index:  # a slider moved twice between two tokens
            turn.marks.pop()
        else:
            self._marked_from = self._in_force
        self._in_force = event.params
        named = self._named is not None and self._named[0] == event.params
        text = self._named[1] if named and self._named else ""
        text = text or describe_change(self._marked_from, event.params, most=2, names=self.token_names)
        if text:
            turn.marks.append(Mark(event.index, text, event.params))

    def _end(self, turn: Turn, problem: Problem | None) -> None:
        turn.problem, turn.writing = problem, False
        self.active, self.phase = None, Phase.IDLE

    def discard_last_exchange(self) -> str:
        """Take back a message that was refused before anything was written; returns its text."""
        reply = self.transcript.last(Role.ASSISTANT)
        if reply is None or reply.tokens or reply.id != self.transcript.head:
            return ""
        user = self.transcript.turns.get(reply.parent) if reply.parent is not None else None
        self.transcript.discard(reply)
        if user is None:
            return ""
        self.transcript.discard(user)
        return user.text


def describe_change(
    old: SamplingParams, new: SamplingParams, most: int | None = None, names: Mapping[str, str] = NO_NAMES
) -> str:
    """Such as "temperature 0.8 → 1.2, top_k 40 → 0"; of more than `most` changes the rest is an ellipsis.

    Args:
        old: Parameters before.
        new: Parameters after.
        most: How many changes are named; None for all.
        names: Texts of tokens by "#id", for the logit bias.
    """
    changes = [_change(name, *values, names) for name, values in changed_fields(old, new).items()]
    return ", ".join([*changes[:most], *(["…"] if len(changes) > len(changes[:most]) else [])])


def _change(name: str, before: Any, after: Any, names: Mapping[str, str]) -> str:
    if name == "logit_bias":
        return f"logit bias {describe_bias_change(before, after, names)}"
    if name in ("grammar", "json_schema"):
        what = name.replace("json_schema", "JSON schema")
        return f"{what} {'changed' if before and after else 'on' if after else 'off'}"
    return f"{name} {_brief(before)} → {_brief(after)}"


def _brief(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (tuple, dict)):
        return f"({len(value)})"
    return str(value)
