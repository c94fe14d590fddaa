"""Helpers of the engine's tests: run requests, read what came back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

from playground.domain.events import Event, Failed, Finished, Started, TokenGenerated
from playground.domain.messages import ChatPrompt, GenerationRequest, Message, Prompt, RawPrompt, Role
from playground.domain.models import LoadOptions
from playground.domain.params import replace
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Token
from playground.engine.engine import Engine
from playground.engine.model import LoadedModel, open_model

E = TypeVar("E", bound=Event)

ONE_THREAD: Final = {"threads": 1, "threads_batch": 1}
"""Threads that wait for one another crawl when other programs want the cores too."""

GREEDY = SamplingParams(temperature=0.0, max_tokens=8)


def request(stream: int, prompt: Prompt | str, params: SamplingParams = GREEDY, **changes: Any) -> GenerationRequest:
    """A request; a plain text is a raw prompt, and `reply_ids` goes beside the parameters."""
    reply_ids = tuple(changes.pop("reply_ids", ()))
    return GenerationRequest(
        stream=stream,
        prompt=RawPrompt(prompt) if isinstance(prompt, str) else prompt,
        params=replace(params, **changes),
        reply_ids=reply_ids,
    )


def chat(*contents: str, system: str = "") -> ChatPrompt:
    """A conversation in which user and assistant take turns."""
    roles = (Role.USER, Role.ASSISTANT)
    first = [Message(Role.SYSTEM, system)] if system else []
    return ChatPrompt((*first, *(Message(roles[index % 2], text) for index, text in enumerate(contents))))


class Harness:
    """An engine and everything it reported."""

    def __init__(self, model: LoadedModel, *, batch: int = 512, streams: int = 8) -> None:
        self.model = model
        self.events: list[Event] = []
        self.engine = Engine(model, self.events.append, batch=batch, streams=streams)

    def submit(self, *requests: GenerationRequest) -> None:
        for wanted in requests:
            self.engine.submit(wanted)

    def finish(self) -> None:
        while self.engine.busy:
            self.engine.step()

    def step_until(self, done: Callable[[], bool], limit: int = 2000) -> None:
        for _ in range(limit):
            if done():
                return
            self.engine.step()
        raise AssertionError("the state that was waited for never came")

    def run(self, *requests: GenerationRequest) -> Finished:
        """Run requests to their end; the result of the first."""
        self.submit(*requests)
        self.finish()
        return self.finished(requests[0].stream)

    def of(self, stream: int, kind: type[E]) -> list[E]:
        return [event for event in self.events if event.stream == stream and isinstance(event, kind)]

    def tokens(self, stream: int) -> list[Token]:
        return [event.token for event in self.of(stream, TokenGenerated)]

    def ids(self, stream: int) -> list[int]:
        return [token.id for token in self.tokens(stream) if token.id is not None]

    def cached(self, stream: int) -> int:
        (started,) = self.of(stream, Started)
        assert started.cached_tokens is not None
        return started.cached_tokens

    def finished(self, stream: int) -> Finished:
        assert not self.of(stream, Failed), self.of(stream, Failed)
        (event,) = self.of(stream, Finished)
        return event

    def failed(self, stream: int) -> Failed:
        (event,) = self.of(stream, Failed)
        return event


@contextmanager
def opened(path: Path, **options: Any) -> Iterator[LoadedModel]:
    """A loaded model, closed at the end."""
    model = open_model(str(path), LoadOptions(**options))
    try:
        yield model
    finally:
        model.close()


@contextmanager
def bare_context(model: LoadedModel, n_ctx: int = 1024) -> Iterator[Any]:
    """A llama.cpp context of the test's own, made without any of our code."""
    params = lib.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, 512, 512
    params.n_threads, params.n_threads_batch = model.info.threads, model.info.threads_batch
    context = lib.llama_init_from_model(model.pointer, params)
    assert context
    try:
        yield context
    finally:
        lib.llama_free(context)


def bare_logits(context: Any, ids: Sequence[int], n_vocab: int) -> NDArray[np.float64]:
    """Decode ids behind what the context holds; logits of the last one, shape (n_vocab,)."""
    array = (lib.llama_token * len(ids))(*ids)
    assert lib.llama_decode(context, lib.llama_batch_get_one(array, len(ids))) == 0
    return np.ctypeslib.as_array(lib.llama_get_logits_ith(context, -1), shape=(n_vocab,)).astype(np.float64)


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Natural log of the softmax, in double precision."""
    shifted = logits - logits.max()
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return result
