"""Models behind Anthropic's messages API: Claude, and whatever else speaks it at another address."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from playground.backends.anthropic_client import Answer, AnthropicClient
from playground.backends.anthropic_events import Reply
from playground.backends.anthropic_listing import ask_facts, list_anthropic_models
from playground.backends.anthropic_models import ModelFacts, capabilities_of, card_of, is_other_server
from playground.backends.anthropic_request import conversation, make_call
from playground.backends.base import Backend, Capabilities, EventSink
from playground.backends.hosted_errors import bad_reply, cut_off, from_status, from_transport
from playground.backends.sse import EventReader
from playground.domain.endpoints import Endpoint, Secret
from playground.domain.errors import PlaygroundError, Unsupported
from playground.domain.events import Failed
from playground.domain.messages import GenerationRequest, Prompt
from playground.domain.models import ModelCard
from playground.domain.usage import TokenCount

if TYPE_CHECKING:
    import httpx2

__all__ = ["AnthropicBackend", "list_anthropic_models"]

_FACTS_S: Final = 15.0
"""Seconds to wait for what a server tells about a model; without that everything works, but less is known."""
_COUNT_S: Final = 20.0
_OWN_SERVER_PATIENCE: Final = 10
"""Other servers than Anthropic's send no byte while they read a long prompt: the first one may take longer there."""


class _Watch:
    """Ends one attempt: when the person stops it, or when the server is silent for too long."""

    def __init__(self, stall_s: float) -> None:
        self.limit = asyncio.timeout(None)
        self.ended = asyncio.Event()
        self.stopped = False
        self.failure: PlaygroundError | None = None
        """Why the answer is of no more use."""
        self._over = False
        self._stall_s = stall_s

    def alive(self, seconds: float | None = None) -> None:
        """Something came: from now on the server may be silent for `stall_s`, or this long."""
        self._end_in(self._stall_s if seconds is None else seconds)

    def stop(self) -> None:
        """The person wants no more of it."""
        self.stopped = True
        self.end()

    def fail(self, failure: PlaygroundError) -> None:
        """The rest of the answer is of no use."""
        self.failure = failure
        self.end()

    def end(self) -> None:
        """Read no further. An exception in the middle of it would leave generators of httpx2 behind."""
        self._end_in(0.0)
        self._over = True

    def _end_in(self, seconds: float) -> None:
        if not self._over and not self.limit.expired():
            self.limit.reschedule(asyncio.get_running_loop().time() + seconds)


class _Count(msgspec.Struct):
    input_tokens: int


class AnthropicBackend(Backend):
    """One model of one endpoint. `generate` makes one attempt; who wants more wraps it."""

    def __init__(self, endpoint: Endpoint, model: str, key: Secret | None, *, stall_s: float = 60.0) -> None:
        self._endpoint = endpoint
        self._model = model
        self._key = key
        self._stall_s = stall_s
        self._client = AnthropicClient(endpoint, key)
        self._facts: ModelFacts | None = None
        self._counts = True
        self._running: dict[int, _Watch] = {}

    @property
    def capabilities(self) -> Capabilities:
        """See Backend. More is known after `prepare`."""
        return capabilities_of(self._endpoint, self._model, self._facts, counts=self._counts)

    @property
    def card(self) -> ModelCard:
        """See Backend. More is known after `prepare`."""
        return card_of(self._endpoint, self._model, self._facts)

    async def prepare(self) -> None:
        """Import the SDK, and ask the server about the model; what it does not tell stays unknown.

        Raises:
            KeyMissing: there is no key, and one is needed.
            KeyRefused: the server does not take it.
            ServerUnreachable: no connection.
            RequestRefused: the server has no such model, or has moved.
            ConfigError: address, key or headers cannot be sent.
        """
        await self._client.open()
        try:
            async with asyncio.timeout(_FACTS_S):
                self._facts = await ask_facts(self._client, self._endpoint, self._model)
        except TimeoutError:
            return

    async def generate(self, request: GenerationRequest, sink: EventSink) -> None:
        """See Backend. One attempt, without retries."""
        watch = self._running[request.stream] = _Watch(self._stall_s)
        reply = Reply(request, sink)
        try:
            async with watch.limit:
                await self._attempt(request, reply, watch)
        except TimeoutError:
            watch.failure = watch.failure or self._stalled(began=reply.began)
        except self._client.failures as error:
            watch.failure = watch.failure or self._client.error_from(error, self._model, began=reply.began)
        finally:
            del self._running[request.stream]
            watch.ended.set()
        if reply.done:
            return
        if watch.stopped or watch.failure is None:
            reply.cancel()
        else:
            sink(Failed(stream=request.stream, problem=watch.failure.problem))

    async def stop(self, stream: int) -> None:
        """See Backend. The connection is closed at once."""
        if stream in self._running:
            self._running[stream].stop()

    async def count_prompt(self, prompt: Prompt) -> TokenCount:
        """Tokens of a whole prompt, counted by the server.

        Raises Unsupported where the server does not count, KeyMissing, KeyRefused, RequestRefused and HostedError.
        """
        body = conversation(prompt, self._model, self.card.short_name)
        if self._counts:
            try:
                async with asyncio.timeout(_COUNT_S):
                    answer = await self._client.ask("/v1/messages/count_tokens", self._model, body)
            except TimeoutError:
                raise self._stalled(began=False) from None
            self._counts = not answer.lacks_route
            if self._counts:
                return TokenCount(self._counted(answer), exact=True, method="server")
        raise Unsupported(f"{self._endpoint.name} does not count tokens.", "The count is estimated.")

    async def close(self) -> None:
        """Stop what runs, and close the connections."""
        running = list(self._running.values())
        for watch in running:
            watch.stop()
        for watch in running:
            await watch.ended.wait()
        await self._client.close()

    async def _attempt(self, request: GenerationRequest, reply: Reply, watch: _Watch) -> None:
        """Ask once and read the answer to its end. Raises the client's `failures`."""
        call = make_call(request, self._model, self.capabilities, self.card)
        reply.note = call.note
        await self._client.open()
        patient = is_other_server(self._endpoint, self._model, self._facts)
        watch.alive(self._stall_s * (_OWN_SERVER_PATIENCE if patient else 1))
        reader = EventReader()
        async with self._client.stream(call.body, call.headers) as response:
            self._check_kind(response)
            async for piece in response.aiter_bytes():
                watch.alive()
                if watch.failure is None and not reply.done:
                    self._take(piece, reader, reply, watch, response)
        if not reply.done and watch.failure is None:
            raise cut_off(self._endpoint, began=reply.began)

    def _check_kind(self, response: httpx2.Response) -> None:
        """A page to log in at, or whatever else answers 200, is no stream."""
        kind = response.headers.get("content-type", "").partition(";")[0].strip().casefold()
        if kind and kind != "text/event-stream":
            raise bad_reply(self._endpoint, f"{kind} instead of a stream of events", began=False)

    def _take(self, piece: bytes, reader: EventReader, reply: Reply, watch: _Watch, response: httpx2.Response) -> None:
        try:
            for data in reader.feed(piece):
                reply.take(data)
                if reply.done:
                    watch.end()
                    return
        except ValueError as error:
            watch.fail(bad_reply(self._endpoint, self._client.safe(str(error)), began=reply.began))
        if (said := reply.error) is not None:
            head = (response.status_code, said.kind, said.message, response.headers)
            watch.fail(from_status(self._endpoint, self._model, *head, self._key, began=reply.began))

    def _counted(self, answer: Answer) -> int:
        """Tokens in an answer. Raises PlaygroundError."""
        if answer.error is not None:
            raise answer.error
        try:
            return msgspec.json.decode(answer.body, type=_Count).input_tokens
        except ValueError as error:
            failure = bad_reply(self._endpoint, self._client.safe(str(error)), began=False)
        raise failure

    def _stalled(self, *, began: bool) -> PlaygroundError:
        import httpx2

        return from_transport(self._endpoint, httpx2.ReadTimeout(""), began=began)
