"""Trying again and falling back: what the person sees of it, and that Esc ends it at any moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from playground.backends.base import Backend, Capabilities, EventSink
from playground.backends.resilient import ResilientBackend
from playground.domain.errors import (
    BadReply,
    KeyMissing,
    KeyRefused,
    Overloaded,
    PlaygroundError,
    RateLimited,
    ServerFailed,
    ServerStalled,
    ServerUnreachable,
    StreamCutOff,
)
from playground.domain.events import (
    Failed,
    FellBack,
    Finished,
    Retrying,
    Started,
    StopReason,
    ThinkingGenerated,
    TokenGenerated,
)
from playground.domain.messages import ChatPrompt, GenerationRequest, Message, Prompt, RawPrompt, Role
from playground.domain.models import ModelCard
from playground.domain.sampling import SamplingParams
from playground.domain.session import Session
from playground.domain.tokens import Token
from playground.domain.usage import Timings, TokenCount, Usage
from tests.backends.support import Sink

HELLO = ChatPrompt((Message(Role.USER, "hello"),))
HANGS = "hangs"
Step = PlaygroundError | str
"""What one attempt does: fail before the first word, hang until it is stopped, or answer with this text."""


class Scripted(Backend):
    """Does what it is told, attempt after attempt; `token` and `thought` come before a failure when they are set."""

    def __init__(self, name: str, *steps: Step, raw: bool = True, continues: bool = True) -> None:
        self.steps = list(steps)
        self.requests: list[GenerationRequest] = []
        self.stopped = asyncio.Event()
        self.hanging = asyncio.Event()
        self.token = ""
        self.thought = ""
        self.closed = False
        self.params: list[SamplingParams] = []
        self._name = name
        self._can = Capabilities(params=frozenset(), logprobs="none", raw=raw, continue_reply=continues)

    @property
    def capabilities(self) -> Capabilities:
        return self._can

    @property
    def card(self) -> ModelCard:
        return ModelCard(id=f"x/{self._name}", short_name=self._name, provider="x")

    async def generate(self, request: GenerationRequest, sink: EventSink) -> None:
        self.requests.append(request)
        step = self.steps.pop(0)
        stream = request.stream
        sink(Started(stream=stream, prompt_tokens=None, cached_tokens=None, params=request.params, seed=None))
        if self.thought:
            sink(ThinkingGenerated(stream=stream, text=self.thought, time_ms=1.0))
        if self.token:
            sink(TokenGenerated(stream=stream, token=chunk(self.token)))
        if isinstance(step, PlaygroundError):
            sink(Failed(stream=stream, problem=step.problem))
            return
        reason, text = StopReason.STOP, request.reply_text + step
        if step == HANGS:
            self.hanging.set()
            await self.stopped.wait()
            reason, text = StopReason.CANCELLED, ""
        sink(TokenGenerated(stream=stream, token=chunk(text)))
        sink(Finished(stream=stream, reason=reason, text=text, usage=Usage(), timings=Timings()))

    async def stop(self, stream: int) -> None:
        self.stopped.set()

    async def set_params(self, stream: int, params: SamplingParams) -> None:
        self.params.append(params)

    async def count_prompt(self, prompt: Prompt) -> TokenCount:
        return TokenCount(7, exact=True, method="server")

    async def close(self) -> None:
        self.closed = True


def chunk(text: str) -> Token:
    return Token(index=0, id=None, piece=text.encode(), logprob=None, prob=None, rank=None, entropy=None, chunk=True)


class Pauses:
    """Waits that are over at once, and are remembered; or that last until the person stops."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, stopped: asyncio.Event, seconds: float) -> bool:
        self.seconds.append(seconds)
        return False


def asked(stream: int = 1, prompt: Prompt = HELLO, reply: str = "") -> GenerationRequest:
    return GenerationRequest(
        stream=stream,
        prompt=prompt,
        params=SamplingParams(),
        reply_text=reply,
        reply_ids=(1, 2) if reply else (),
        submitted_at=time.monotonic(),
    )


def opener(backend: Backend | PlaygroundError) -> Callable[[], Awaitable[Backend]]:
    async def open_it() -> Backend:
        if isinstance(backend, PlaygroundError):
            raise backend
        return backend

    return open_it


def busy(after_s: float | None = None) -> PlaygroundError:
    return Overloaded("x is overloaded at the moment.", "Wait.", retry_after_s=after_s)


def limited(after_s: float | None = None) -> PlaygroundError:
    return RateLimited("x takes no more requests for now.", "Wait.", retry_after_s=after_s)


async def run(backend: ResilientBackend, request: GenerationRequest | None = None) -> Sink:
    sink = Sink()
    await backend.generate(request or asked(), sink)
    assert isinstance(sink.events[-1], Finished | Failed)
    assert sum(isinstance(event, Finished | Failed) for event in sink.events) == 1
    assert len(asyncio.all_tasks()) == 1, "a task was left running"
    return sink


def last_problem(sink: Sink) -> str:
    last = sink.events[-1]
    assert isinstance(last, Failed)
    return str(last.problem)


def retries(sink: Sink) -> list[Retrying]:
    return [event for event in sink.events if isinstance(event, Retrying)]


async def test_an_attempt_that_works_is_passed_on_as_it_is() -> None:
    sink = await run(ResilientBackend(Scripted("a", "hi")))
    assert [type(event).__name__ for event in sink.events] == ["Started", "TokenGenerated", "Finished"]


async def test_tries_again_with_growing_waits_and_says_so() -> None:
    pauses, failed = Pauses(), ServerFailed("x failed (500).")
    primary = Scripted("a", failed, failed, failed, "hi")
    sink = await run(ResilientBackend(primary, chance=lambda: 1.0, clock=lambda: 100.0, pause=pauses))
    assert pauses.seconds == [1.0, 2.0, 4.0]
    assert [(event.attempt, event.attempts, event.resume_at) for event in retries(sink)] == [
        (1, 4, 101.0),
        (2, 4, 102.0),
        (3, 4, 104.0),
    ]
    assert isinstance(sink.events[-1], Finished)
    submitted = {request.submitted_at for request in primary.requests}
    assert len(submitted) == 1, "waiting counts into the time to first token"


async def test_waits_differ_from_pane_to_pane() -> None:
    lowest, highest = Pauses(), Pauses()
    for pauses, chance in ((lowest, 0.0), (highest, 1.0)):
        primary = Scripted("a", ServerFailed("x"), "hi")
        await run(ResilientBackend(primary, chance=partial(float, chance), pause=pauses))
    assert lowest.seconds == [0.5]
    assert highest.seconds == [1.0]


async def test_gives_up_after_the_last_attempt() -> None:
    primary = Scripted("a", *[ServerStalled("x did not answer in time.")] * 3)
    sink = await run(ResilientBackend(primary, attempts=3, pause=Pauses()))
    assert len(retries(sink)) == 2
    assert last_problem(sink) == "x did not answer in time."


async def test_never_comes_back_earlier_than_asked() -> None:
    pauses = Pauses()
    await run(ResilientBackend(Scripted("a", limited(7), limited(7), "hi"), chance=lambda: 0.0, pause=pauses))
    assert pauses.seconds == [7, 7]


async def test_a_wait_beyond_the_limit_is_not_begun() -> None:
    pauses = Pauses()
    sink = await run(ResilientBackend(Scripted("a", limited(3600)), pause=pauses))
    assert pauses.seconds == []
    assert "It asks to wait 1 h: come back after" in last_problem(sink)


@pytest.mark.parametrize("error", [KeyRefused("no"), BadReply("what?"), StreamCutOff("cut")])
async def test_what_will_not_get_better_is_not_tried_again(error: PlaygroundError) -> None:
    sink = await run(ResilientBackend(Scripted("a", error), fallback=opener(Scripted("b", "hi"))))
    assert last_problem(sink) == str(error)


@pytest.mark.parametrize("kind", ["token", "thought"])
async def test_nothing_is_tried_again_once_something_came(kind: str) -> None:
    primary = Scripted("a", busy())
    setattr(primary, kind, "Once")
    sink = await run(ResilientBackend(primary, fallback=opener(Scripted("b", "hi"))))
    assert retries(sink) == []
    assert "overloaded" in last_problem(sink)
    assert len(sink.events) == 3


async def test_esc_ends_the_countdown_at_once() -> None:
    backend = ResilientBackend(Scripted("a", limited(50)))
    sink = Sink()
    before = time.monotonic()
    request = asked(reply="So far")
    task = asyncio.create_task(backend.generate(request, sink))
    await sink.until(lambda: bool(retries(sink)))
    assert retries(sink)[0].resume_at >= before + 50
    await backend.stop(request.stream)
    await task
    last = sink.events[-1]
    assert isinstance(last, Finished)
    assert (last.reason, last.text) == (StopReason.CANCELLED, "So far")
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.cost) == (0, 0, 0.0)
    assert not last.usage.estimate
    assert time.monotonic() - before < 25
    assert len(asyncio.all_tasks()) == 1


async def test_what_a_stopped_run_cost_is_unknown_when_the_server_may_have_worked() -> None:
    backend, sink = ResilientBackend(Scripted("a", ServerStalled("x"))), Sink()
    task = asyncio.create_task(backend.generate(asked(), sink))
    await sink.until(lambda: bool(retries(sink)))
    await backend.stop(1)
    await task
    last = sink.events[-1]
    assert isinstance(last, Finished)
    assert last.usage.cost is None


async def test_esc_in_an_attempt_reaches_the_backend_that_works_on_it() -> None:
    second = Scripted("b", HANGS)
    backend, sink = ResilientBackend(Scripted("a", busy()), fallback=opener(second)), Sink()
    task = asyncio.create_task(backend.generate(asked(), sink))
    await second.hanging.wait()
    params = SamplingParams(temperature=0.1)
    await backend.set_params(1, params)
    assert second.params == [params]
    await backend.stop(1)
    await task
    last = sink.events[-1]
    assert isinstance(last, Finished)
    assert last.reason is StopReason.CANCELLED


async def test_esc_while_the_second_model_is_opened() -> None:
    opening, ended = asyncio.Event(), asyncio.Event()

    async def open_slowly() -> Backend:
        opening.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    backend, sink = ResilientBackend(Scripted("a", busy()), fallback=open_slowly), Sink()
    task = asyncio.create_task(backend.generate(asked(), sink))
    await opening.wait()
    await backend.stop(1)
    await task
    assert ended.is_set()
    assert [type(event).__name__ for event in sink.events] == ["Started", "Finished"]
    assert len(asyncio.all_tasks()) == 1


async def test_cancelling_the_task_ends_everything() -> None:
    opening = asyncio.Event()

    async def open_slowly() -> Backend:
        opening.set()
        await asyncio.Event().wait()
        raise AssertionError

    backend = ResilientBackend(Scripted("a", busy()), fallback=open_slowly)
    task = asyncio.create_task(backend.generate(asked(), Sink()))
    await opening.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(asyncio.all_tasks()) == 1


async def test_an_overloaded_model_is_replaced_at_once() -> None:
    second = Scripted("b", "from b")
    sink = await run(ResilientBackend(Scripted("a", busy()), fallback=opener(second), pause=Pauses()))
    assert [type(event).__name__ for event in sink.events] == [
        "Started",
        "FellBack",
        "Started",
        "TokenGenerated",
        "Finished",
    ]
    fell = sink.events[1]
    assert isinstance(fell, FellBack)
    assert (fell.card.short_name, fell.problem.kind) == ("b", "Overloaded")


@pytest.mark.parametrize("error", [ServerUnreachable("no"), ServerFailed("x")])
async def test_after_an_outage_the_second_model_takes_over_when_trying_did_not_help(error: PlaygroundError) -> None:
    second = Scripted("b", "from b", "again b")
    backend = ResilientBackend(Scripted("a", *[error] * 2, "back"), attempts=2, fallback=opener(second), pause=Pauses())
    sink = await run(backend)
    assert len(retries(sink)) == 1
    assert any(isinstance(event, FellBack) for event in sink.events)
    assert len((await run(backend)).events) == 3, "the next request begins with the first model again"


async def test_a_rate_limit_is_waited_for_and_not_got_round() -> None:
    sink = await run(
        ResilientBackend(
            Scripted("a", limited(), limited()), attempts=2, fallback=opener(Scripted("b", "hi")), pause=Pauses()
        )
    )
    assert "no more requests" in last_problem(sink)


async def test_the_second_model_is_patient_too_and_its_failure_is_the_last_word() -> None:
    failed = ServerUnreachable("No connection to b.")
    second = Scripted("b", failed, failed)
    sink = await run(ResilientBackend(Scripted("a", busy()), attempts=2, fallback=opener(second), pause=Pauses()))
    assert len(retries(sink)) == 1
    assert last_problem(sink) == "No connection to b."


async def test_a_second_model_that_cannot_be_opened() -> None:
    missing = KeyMissing("There is no key for b.", "Set B_API_KEY.")
    sink = await run(ResilientBackend(Scripted("a", busy()), fallback=opener(missing)))
    assert "x is overloaded at the moment." in last_problem(sink)
    assert "No other model could take over: There is no key for b." in last_problem(sink)


async def test_a_second_model_that_cannot_do_it() -> None:
    second = Scripted("b", raw=False, continues=False)
    for request, said in (
        (asked(prompt=RawPrompt("x")), "b takes no raw prompt."),
        (asked(reply="Half an"), "b cannot continue a reply."),
    ):
        sink = await run(ResilientBackend(Scripted("a", busy()), fallback=opener(second)), request)
        assert said in last_problem(sink)


async def test_the_second_model_gets_the_beginning_as_text_alone() -> None:
    second = Scripted("b", " answer")
    sink = await run(ResilientBackend(Scripted("a", busy()), fallback=opener(second)), asked(reply="Half an"))
    assert second.requests[0].reply_ids == ()
    last = sink.events[-1]
    assert isinstance(last, Finished)
    assert last.text == "Half an answer"


async def test_two_streams_share_the_second_model_and_stop_apart() -> None:
    opened = 0
    second = Scripted("b", "one", "two")

    async def count() -> Backend:
        nonlocal opened
        opened += 1
        await asyncio.sleep(0)
        return second

    backend = ResilientBackend(Scripted("a", busy(), busy(), limited(50)), fallback=count)
    sinks = [Sink(), Sink(), Sink()]
    tasks = [asyncio.create_task(backend.generate(asked(stream), sinks[stream])) for stream in range(3)]
    await asyncio.gather(*tasks[:2])
    await sinks[2].until(lambda: bool(retries(sinks[2])))
    assert opened == 1
    await backend.stop(1)
    assert not tasks[2].done()
    await backend.close()
    await tasks[2]
    assert second.closed
    assert isinstance(sinks[2].events[-1], Finished)


async def test_everything_else_is_the_first_backends() -> None:
    primary = Scripted("a")
    backend = ResilientBackend(primary)
    assert backend.capabilities is primary.capabilities
    assert backend.card == primary.card
    assert (await backend.count_prompt(HELLO)).tokens == 7


async def test_a_session_shows_the_retries_and_who_answered() -> None:
    session = Session()
    session.model = "a"
    request = session.send("hello")
    backend = ResilientBackend(Scripted("a", limited(), busy()), fallback=opener(Scripted("b", "hi")), pause=Pauses())
    await backend.generate(request, session.apply)
    reply = session.transcript.last(Role.ASSISTANT)
    assert reply is not None
    assert reply.model == "b"
    assert reply.content == "hi"
    assert len(reply.notes) == 2
    assert not session.busy
