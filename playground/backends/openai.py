"""Any server that speaks OpenAI's API: chats and raw completions, streamed, with log-probabilities where it has some.

No SDK: one would hide the servers' extras and cost ten times the time for each event.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence

from playground.backends import openai_tokens
from playground.backends.base import Backend, Capabilities, EventSink
from playground.backends.hosted_errors import GO_ON, bad_reply, cut_off, from_transport
from playground.backends.hosted_texts import read_error_body, scrub
from playground.backends.openai_client import OpenAIClient, read_some
from playground.backends.openai_params import Traits, capabilities_of, traits_of
from playground.backends.openai_reply import Reply
from playground.backends.openai_request import Call, build_call, without_refused
from playground.backends.openai_servers import ServerFacts, ServerKind, find_out, item_of, model_names, window_of
from playground.backends.openai_wire import DONE, read_chunk
from playground.backends.patience import Patience
from playground.backends.sse import EventReader
from playground.domain.endpoints import Endpoint, Secret
from playground.domain.errors import (
    ConfigError,
    KeyMissing,
    KeyRefused,
    Overloaded,
    PlaygroundError,
    RequestRefused,
    ServerStalled,
    ServerUnreachable,
)
from playground.domain.events import Failed, Retrying, StopReason
from playground.domain.messages import GenerationRequest, Prompt, PromptView
from playground.domain.models import ModelCard
from playground.domain.usage import TokenCount

_MOST_CHANGES = 4
"""Refused fields that one request is sent again without."""
_NOT_TEXT = ("embedding", "whisper", "tts", "dall-e", "moderation", "image", "realtime", "audio", "transcribe", "sora")
_LONGEST_PAGE = 64 << 10


class OpenAIBackend(Backend):
    """One model of one endpoint. An empty name means the server's only, or first, model."""

    def __init__(self, endpoint: Endpoint, model: str, key: Secret | None, *, stall_s: float = 60.0) -> None:
        self._endpoint = endpoint
        self._asked_for = model
        self._stall_s = stall_s
        self._client = OpenAIClient(endpoint, key)
        self._facts = ServerFacts(model=model)
        self._prepared = False
        self._refused: frozenset[str] = frozenset()
        """Fields that this server refused for this model."""
        self._logprobs: bool | None = None
        """Whether replies have log-probabilities; None before the first one."""
        self._runs: dict[int, Patience] = {}

    @property
    def capabilities(self) -> Capabilities:
        """By server and model, and by what replies had in them so far."""
        return capabilities_of(self._facts, self._traits, self._endpoint.name, self._logprobs)

    @property
    def card(self) -> ModelCard:
        """See Backend."""
        facts = self._facts
        return ModelCard(
            id=f"{self._endpoint.name}/{facts.model}",
            short_name=_short(facts.model) or self._endpoint.name,
            provider=self._endpoint.name,
            n_ctx=facts.n_ctx,
            max_output=facts.max_output,
            n_vocab=facts.n_vocab,
            note=f"{facts.kind} server" if facts.kind is not ServerKind.OTHER else "",
        )

    @property
    def _traits(self) -> Traits:
        return traits_of(self._facts, self._refused)

    async def prepare(self) -> None:
        """See Backend. What the server does not tell stays unknown.

        Raises KeyMissing, KeyRefused, ServerUnreachable, Overloaded (still loading), ConfigError (no model named).
        """
        listed: object = None
        try:
            listed = await self._client.ask("GET", self._client.url("/models"), model=self._asked_for)
        except (KeyMissing, KeyRefused, ServerUnreachable, Overloaded, ConfigError):
            raise
        except PlaygroundError:
            pass  # Not every server lists its models.
        facts = await find_out(self._endpoint, self._asked_for, listed, self._client.ask_quietly)
        if not facts.model:
            name = self._endpoint.name
            raise ConfigError(f"{name} does not say which models it has.", f"Name one: {name}/MODEL.")
        self._facts = facts
        self._prepared = True

    async def generate(self, request: GenerationRequest, sink: EventSink) -> None:
        """See Backend. One attempt, and another for each field that the server refuses by its name."""
        patience = self._runs[request.stream] = Patience(self._stall_s)
        reply = self._reply(request, sink)
        try:
            async with patience.waiting():
                if not self._prepared:
                    await self.prepare()
                reply = self._reply(request, sink)
                await self._attempts(request, reply, patience, sink)
            reply.finish()
        except TimeoutError:
            if patience.ended:
                reply.finish(StopReason.CANCELLED)
            elif reply.reason:
                reply.finish()
            else:
                sink(Failed(stream=request.stream, problem=self._stalled(reply).problem))
        except PlaygroundError as error:
            sink(Failed(stream=request.stream, problem=error.problem))
        finally:
            del self._runs[request.stream]
            if reply.has_logprobs is not None:
                self._logprobs = reply.has_logprobs

    async def stop(self, stream: int) -> None:
        """See Backend. The connection is closed, and the server notices."""
        if stream in self._runs:
            self._runs[stream].end()

    async def count_tokens(self, text: str) -> TokenCount:
        """See Backend. llama.cpp and vLLM count; others do not."""
        return await openai_tokens.count_text(self._client, self._facts, text)

    async def count_prompt(self, prompt: Prompt) -> TokenCount:
        """See Backend."""
        return await openai_tokens.count_prompt(self._client, self._facts, prompt)

    async def view_prompt(self, prompt: Prompt, reply_ids: Sequence[int] = ()) -> PromptView:
        """See Backend. llama.cpp shows it; others do not."""
        return await openai_tokens.view_prompt(self._client, self._facts, prompt, reply_ids)

    async def close(self) -> None:
        """End every run and close what is open."""
        runs = list(self._runs.values())
        for patience in runs:
            patience.end()
        for patience in runs:
            await patience.left()
        await self._client.close()

    def _reply(self, request: GenerationRequest, sink: EventSink) -> Reply:
        return Reply(request, self._facts, self._endpoint, self._client.key, sink)

    async def _attempts(self, request: GenerationRequest, reply: Reply, patience: Patience, sink: EventSink) -> None:
        """Send the request, again without a field that is refused by its name. Raises PlaygroundError."""
        import httpx2

        call = build_call(self._facts, self._traits, request)
        for attempt in range(1, _MOST_CHANGES + 2):
            try:
                changed = await self._attempt(call, reply, patience, last=attempt > _MOST_CHANGES)
            except httpx2.HTTPError as error:
                if reply.reason:
                    return
                raise from_transport(self._endpoint, error, began=reply.began) from None
            if changed is None:
                return
            call, change, problem = changed
            sink(
                Retrying(
                    stream=request.stream,
                    problem=problem.problem,
                    attempt=attempt,
                    attempts=attempt + 1,
                    resume_at=time.monotonic(),
                    change=change,
                )
            )

    async def _attempt(
        self, call: Call, reply: Reply, patience: Patience, *, last: bool
    ) -> tuple[Call, str, PlaygroundError] | None:
        """One request. Gives the next one to send when a field was refused.

        Raises PlaygroundError and httpx2.HTTPError.
        """
        model = self._facts.model
        async with self._client.stream(self._client.url(call.path, model), call.body) as response:
            if response.status_code != 200:
                raw = await read_some(response, _LONGEST_PAGE)
                error = self._client.refusal(response, raw, model)
                refused = without_refused(call, read_error_body(raw))
                if last or refused is None or type(error) is not RequestRefused:
                    raise error
                changed, gone, change = refused
                self._refused |= {*gone}
                return changed, change, error
            if response.headers.get("content-type", "").startswith("text/html"):
                page = (await read_some(response, _LONGEST_PAGE)).decode("utf-8", "replace")
                raise bad_reply(self._endpoint, scrub(page, self._client.key, self._endpoint.headers), began=False)
            if self._facts.kind is not ServerKind.LLAMA_CPP:
                reply.start(call.seed, call.notes)
            if response.headers.get("content-type", "").startswith("application/json"):
                self._whole(await response.aread(), call, reply)
            else:
                await self._read(response.aiter_bytes(), call, reply, patience)
        if not reply.reason:
            raise cut_off(self._endpoint, began=reply.began)
        return None

    async def _read(self, pieces: AsyncIterator[bytes], call: Call, reply: Reply, patience: Patience) -> None:
        """Pass the events of a stream on. Raises PlaygroundError."""
        reader = EventReader()
        try:
            async for piece in pieces:
                now = time.monotonic()
                patience.heard()
                for data in reader.feed(piece):
                    if data == DONE:
                        return
                    self._pass_on(data, call, reply, now)
                if reply.began:
                    patience.first_word()
            for data in reader.finish():
                if data != DONE:
                    self._pass_on(data, call, reply, time.monotonic())
        except ValueError as error:
            raise self._unreadable(error, reply) from None

    def _whole(self, raw: bytes, call: Call, reply: Reply) -> None:
        """Pass on the reply of a server that does not stream."""
        try:
            self._pass_on(raw, call, reply, time.monotonic())
        except ValueError as error:
            raise self._unreadable(error, reply) from None

    def _unreadable(self, error: ValueError, reply: Reply) -> PlaygroundError:
        shown = scrub(str(error), self._client.key, self._endpoint.headers)
        return bad_reply(self._endpoint, shown, began=reply.began)

    def _stalled(self, reply: Reply) -> PlaygroundError:
        name = self._endpoint.name
        if reply.began:
            return ServerStalled(f"{name} stopped sending in the middle of the reply.", GO_ON)
        return ServerStalled(f"{name} did not answer in time.", "Send again, or choose another model.")

    @staticmethod
    def _pass_on(data: bytes, call: Call, reply: Reply, now: float) -> None:
        chunk = read_chunk(data)
        if chunk is None:
            return
        if not reply.started:
            reply.start(call.seed, call.notes, chunk.prompt_progress)
        reply.take(chunk, now)


async def list_openai_models(endpoint: Endpoint, key: Secret | None) -> list[ModelCard]:
    """The models a server offers, in its order; the endpoint's own names when it lists none. Raises PlaygroundError."""
    client = OpenAIClient(endpoint, key)
    try:
        listed = await client.ask("GET", client.url("/models"))
    except RequestRefused:
        if not endpoint.models:
            raise
        listed = None
    finally:
        await client.close()
    return [
        ModelCard(
            id=f"{endpoint.name}/{name}",
            short_name=_short(name),
            provider=endpoint.name,
            n_ctx=window_of(item_of(listed, name)),
        )
        for name in model_names(listed) or endpoint.models
        if not any(word in name for word in _NOT_TEXT)
    ]


def _short(model: str) -> str:
    """llama.cpp names a model by its path."""
    return model.rsplit("/", 1)[-1].removesuffix(".gguf") if model.endswith(".gguf") else model
