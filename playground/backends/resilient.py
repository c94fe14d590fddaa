"""Tries again when a server has trouble, and lets another model take over when that does not help.

Nothing is tried again once a word has come: the person has read it, and a second answer would begin differently.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from playground.backends.base import Backend, Capabilities, EventSink
from playground.backends.hosted_texts import brief_duration
from playground.backends.waiting import stopped_within
from playground.domain.errors import Overloaded, PlaygroundError, Problem, RateLimited, ServerFailed, ServerUnreachable
from playground.domain.events import (
    Event,
    Failed,
    FellBack,
    Finished,
    Retrying,
    StopReason,
    ThinkingGenerated,
    TokenGenerated,
)
from playground.domain.messages import GenerationRequest, Prompt, PromptView, RawPrompt
from playground.domain.models import ModelCard
from playground.domain.sampling import SamplingParams
from playground.domain.usage import Timings, TokenCount, Usage

FIRST_WAIT_S: Final = 1.0
"""Before the second attempt, when the server does not say how long; doubled for each further one."""
LONGEST_WAIT_S: Final = 30.0

_OUTAGES: Final = frozenset(cls.__name__ for cls in (Overloaded, ServerUnreachable, ServerFailed))
"""Troubles of the server's own, against which another model helps."""
_NOT_CHARGED: Final = _OUTAGES | {RateLimited.__name__}

Opener = Callable[[], Awaitable[Backend]]
"""Opens a backend; raises PlaygroundError."""


class _Watch:
    """Passes the events of one attempt on, except for a failure before the first word."""

    def __init__(self, sink: EventSink) -> None:
        self._sink = sink
        self._came = False
        self.problem: Problem | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, TokenGenerated | ThinkingGenerated):
            self._came = True
        elif isinstance(event, Failed) and not self._came:
            self.problem = event.problem
            return
        self._sink(event)


class _Run:
    """One request, over all its attempts."""

    def __init__(self, request: GenerationRequest, sink: EventSink, backend: Backend) -> None:
        self.request = request
        self.sink = sink
        self.active = backend
        self.stopped = asyncio.Event()
        self.opening: asyncio.Future[Backend] | None = None
        self.charged = False
        """An attempt may have cost something before it failed."""

    def stop(self) -> None:
        """End whatever is waited for."""
        self.stopped.set()
        if self.opening is not None:
            self.opening.cancel()


class ResilientBackend(Backend):
    """A backend with patience, and perhaps with a second one behind it."""

    def __init__(
        self,
        primary: Backend,
        *,
        attempts: int = 4,
        retry_limit_s: float = 60.0,
        fallback: Opener | None = None,
        close_fallback: Callable[[Backend], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        pause: Callable[[asyncio.Event, float], Awaitable[bool]] = stopped_within,
    ) -> None:
        """Wrap a backend, which is closed together with this one.

        Args:
            primary: Does the work as long as it can.
            attempts: How often a request is tried at most, the first time included.
            retry_limit_s: The longest wait between two attempts; a server that asks for more is not waited for.
            fallback: Opens the model that takes over on overload or outage, when it is first needed.
            close_fallback: Gives that model back; by default it is closed.
            clock: Gives the time as `Retrying.resume_at` counts it.
            chance: Gives a number from 0 to 1, for waits that differ from pane to pane.
            pause: Waits for seconds, or until the event is set; True when it is.
        """
        self._primary = primary
        self._attempts = attempts
        self._retry_limit_s = retry_limit_s
        self._open_fallback = fallback
        self._close_fallback = close_fallback
        self._fallback: Backend | None = None
        self._opening = asyncio.Lock()
        self._clock, self._chance, self._pause = clock, chance, pause
        self._runs: dict[int, _Run] = {}

    @property
    def capabilities(self) -> Capabilities:
        """Those of the backend that does the work as long as it can."""
        return self._primary.capabilities

    @property
    def card(self) -> ModelCard:
        """See `capabilities`."""
        return self._primary.card

    async def prepare(self) -> None:
        """See Backend."""
        await self._primary.prepare()

    async def generate(self, request: GenerationRequest, sink: EventSink) -> None:
        """See Backend; `Retrying` and `FellBack` come before the second attempt and the second model."""
        run = self._runs[request.stream] = _Run(request, sink, self._primary)
        try:
            problem = await self._persist(run)
            if problem is not None and problem.kind in _OUTAGES and self._open_fallback is not None:
                problem = await self._fall_back(run, problem, self._open_fallback)
            if problem is not None:
                sink(Failed(stream=request.stream, problem=problem))
        finally:
            self._runs.pop(request.stream, None)

    async def stop(self, stream: int) -> None:
        """See Backend. A wait ends at once."""
        run = self._runs.get(stream)
        if run is not None:
            run.stop()
        await (run.active if run is not None else self._primary).stop(stream)

    async def set_params(self, stream: int, params: SamplingParams) -> None:
        """See Backend."""
        run = self._runs.get(stream)
        await (run.active if run is not None else self._primary).set_params(stream, params)

    async def view_prompt(self, prompt: Prompt, reply_ids: Sequence[int] = ()) -> PromptView:
        """See Backend."""
        return await self._primary.view_prompt(prompt, reply_ids)

    async def count_tokens(self, text: str) -> TokenCount:
        """See Backend."""
        return await self._primary.count_tokens(text)

    async def count_prompt(self, prompt: Prompt) -> TokenCount:
        """See Backend."""
        return await self._primary.count_prompt(prompt)

    async def close(self) -> None:
        """End all runs and close both backends."""
        for run in list(self._runs.values()):
            run.stop()
        await self._primary.close()
        if self._fallback is not None:
            await (self._close_fallback(self._fallback) if self._close_fallback else self._fallback.close())

    async def _persist(self, run: _Run) -> Problem | None:
        """Try until the request ended, one way or another (None), or until trying again is of no use (why)."""
        attempt = 0
        while True:
            attempt += 1
            watch = _Watch(run.sink)
            await run.active.generate(run.request, watch)
            problem = watch.problem
            if problem is None:
                return None
            run.charged = run.charged or problem.kind not in _NOT_CHARGED
            if run.stopped.is_set():
                self._cancel(run)
                return None
            if not problem.retryable or attempt >= self._attempts or self._has_better(run, problem):
                return problem
            wait_s = self._wait_s(problem, attempt)
            if wait_s is None:
                return _come_back_later(problem)
            run.sink(
                Retrying(
                    stream=run.request.stream,
                    problem=problem,
                    attempt=attempt,
                    attempts=self._attempts,
                    resume_at=self._clock() + wait_s,
                )
            )
            if await self._pause(run.stopped, wait_s):
                self._cancel(run)
                return None

    def _has_better(self, run: _Run, problem: Problem) -> bool:
        """True when the second model takes over without another attempt at the first.

        A server that has no room rarely has some a few seconds later, and every attempt adds to its load; the person
        has said which model they want instead. A broken connection is often gone with the next attempt.
        """
        waits = run.active is self._primary and self._open_fallback is not None
        return waits and problem.kind == Overloaded.__name__

    def _wait_s(self, problem: Problem, attempt: int) -> float | None:
        """Seconds before the next attempt; None when the server asks for more than anybody wants to wait."""
        asked = problem.retry_after_s
        if asked is not None:
            # Never earlier than asked; a little later, so that several panes do not come back at the same moment.
            return asked + self._chance() * min(1.0, asked / 10) if asked <= self._retry_limit_s else None
        longest: float = min(FIRST_WAIT_S * 2.0 ** (attempt - 1), LONGEST_WAIT_S, self._retry_limit_s)
        return longest * (1 + self._chance()) / 2

    async def _fall_back(self, run: _Run, problem: Problem, opener: Opener) -> Problem | None:
        """Let the second model answer; returns the problem to report, None when there is none left."""
        request = run.request
        try:
            backend = await self._opened(run, opener)
        except PlaygroundError as error:
            return _nobody_takes_over(problem, error.message)
        if backend is None or run.stopped.is_set():
            self._cancel(run)
            return None
        missing = _what_it_lacks(backend, request)
        if missing:
            return _nobody_takes_over(problem, f"{backend.card.short_name} {missing}.")
        run.active = backend
        # Token ids are those of the first model's vocabulary.
        run.request = msgspec.structs.replace(request, reply_ids=())
        run.sink(FellBack(stream=request.stream, card=backend.card, problem=problem))
        return await self._persist(run)

    async def _opened(self, run: _Run, opener: Opener) -> Backend | None:
        """The second backend, opened when it is first needed; None when the run was stopped meanwhile."""
        run.opening = asyncio.ensure_future(self._open_once(opener))
        try:
            return await run.opening
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if run.stopped.is_set() and not (task is not None and task.cancelling()):
                return None
            raise
        finally:
            run.opening = None

    async def _open_once(self, opener: Opener) -> Backend:
        async with self._opening:
            if self._fallback is None:
                self._fallback = await opener()
            return self._fallback

    def _cancel(self, run: _Run) -> None:
        """The person stopped before a word came."""
        run.sink(
            Finished(
                stream=run.request.stream,
                reason=StopReason.CANCELLED,
                text=run.request.reply_text,
                usage=Usage(prompt_tokens=0, cost=None if run.charged else 0.0),
                timings=Timings(total_ms=(self._clock() - run.request.submitted_at) * 1000),
            )
        )


def _come_back_later(problem: Problem) -> Problem:
    """The problem with the hour at which it is worth trying again."""
    wait_s = problem.retry_after_s or 0.0
    then = datetime.now().astimezone() + timedelta(seconds=wait_s)
    day = "" if wait_s < 12 * 3600 else f" on {then:%d %B}"
    hint = f"It asks to wait {brief_duration(wait_s)}: come back after {then:%H:%M}{day}, or choose another model."
    return msgspec.structs.replace(problem, hint=hint)


def _nobody_takes_over(problem: Problem, why: str) -> Problem:
    return msgspec.structs.replace(problem, hint=f"{problem.hint} No other model could take over: {why}".strip())


def _what_it_lacks(backend: Backend, request: GenerationRequest) -> str:
    """Why a backend cannot answer this request, to be put behind its name; empty when it can."""
    can = backend.capabilities
    if isinstance(request.prompt, RawPrompt) and not can.raw:
        return "takes no raw prompt"
    if (request.reply_ids or request.reply_text) and not can.continue_reply:
        return "cannot continue a reply"
    return ""
