"""What travels between the app and the worker: length-prefixed msgpack frames of the domain's own structs.

A frame is four bytes of length (little endian) and that many bytes of msgpack. Requests go to the worker's standard
input, answers come from its standard output; its standard error is a log.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

import msgspec

from playground.domain.errors import Problem
from playground.domain.events import Event
from playground.domain.messages import GenerationRequest, Prompt, PromptView
from playground.domain.models import LoadOptions, ModelInfo
from playground.domain.sampling import SamplingParams
from playground.domain.scoring import Score, ScoreRequest
from playground.domain.watching import WatchedWord
from playground.domain.what_if import (
    Continuation,
    Replay,
    ReplayRequest,
    WatchedReply,
    WatchRequest,
    WhatIf,
    WhatIfRequest,
)

_LENGTH: Final = struct.Struct("<I")
LARGEST_FRAME: Final = 256 << 20

T = TypeVar("T")


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Load a model; answered by Loading and then Loaded or LoadFailed."""

    path: str
    options: LoadOptions


class Generate(msgspec.Struct, frozen=True, tag="generate"):
    """Start a stream; answered by events."""

    request: GenerationRequest


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """End a stream; answered by Finished."""

    stream: int


class ShareCores(msgspec.Struct, frozen=True, tag="share"):
    """Say how many workers compute at the moment, this one among them; each takes its part of the cores. No answer."""

    workers: int


class SetParams(msgspec.Struct, frozen=True, tag="set_params"):
    """Change a stream's parameters; answered by ParamsChanged, and by Answered or Refused."""

    ticket: int
    stream: int
    params: SamplingParams


class ViewPrompt(msgspec.Struct, frozen=True, tag="view_prompt"):
    """Ask for the exact prompt; answered with a PromptView."""

    ticket: int
    prompt: Prompt
    reply_ids: tuple[int, ...] = ()


class CountTokens(msgspec.Struct, frozen=True, tag="count"):
    """Ask how many tokens a text has by itself; answered with a number."""

    ticket: int
    text: str


class NameWords(msgspec.Struct, frozen=True, tag="name_words"):
    """Ask which tokens stand for words that are to be watched; answered with a WatchedWord for each."""

    ticket: int
    words: tuple[str, ...]


class AskWhatIf(msgspec.Struct, frozen=True, tag="ask_what_if"):
    """Ask what a position would look like; answered by Found or Refused. A newer one of its asker replaces it."""

    ticket: int
    request: WhatIfRequest


class AskReplay(msgspec.Struct, frozen=True, tag="ask_replay"):
    """Ask what would have become of a reply; answered by Advanced, then Found or Refused."""

    ticket: int
    request: ReplayRequest


class AskScore(msgspec.Struct, frozen=True, tag="ask_score"):
    """Have a text scored; answered by Advanced, then Found or Refused."""

    ticket: int
    request: ScoreRequest


class AskWatch(msgspec.Struct, frozen=True, tag="ask_watch"):
    """Follow words through a reply that is there; answered by Advanced, then Found or Refused."""

    ticket: int
    request: WatchRequest


class AskContinuation(msgspec.Struct, frozen=True, tag="ask_continuation"):
    """Ask for the tokens of a text behind a prompt and the beginning of a reply; answered by Found or Refused."""

    ticket: int
    prompt: Prompt
    reply_ids: tuple[int, ...]
    text: str


class Withdraw(msgspec.Struct, frozen=True, tag="withdraw"):
    """A replay, a score or a watch is no longer wanted. No answer."""

    ticket: int


Question = AskWhatIf | AskReplay | AskScore | AskWatch | AskContinuation
Request = Load | Generate | Stop | ShareCores | SetParams | ViewPrompt | CountTokens | NameWords | Question | Withdraw


class Loading(msgspec.Struct, frozen=True, tag="loading"):
    """How far loading is, 0 to 1."""

    fraction: float


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """The model is ready."""

    info: ModelInfo


class LoadFailed(msgspec.Struct, frozen=True, tag="load_failed"):
    """The model cannot be used."""

    problem: Problem


class Answered(msgspec.Struct, frozen=True, tag="answered"):
    """What a request with a ticket asked for."""

    ticket: int
    value: PromptView | int | tuple[WatchedWord, ...] | None = None


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Why a request with a ticket cannot be answered."""

    ticket: int
    problem: Problem


class Found(msgspec.Struct, frozen=True, tag="found"):
    """The answer to a question about a text."""

    ticket: int
    value: WhatIf | Replay | Score | WatchedReply | Continuation


class Advanced(msgspec.Struct, frozen=True, tag="advanced"):
    """How far a replay, a score or a watch is."""

    ticket: int
    done: int
    total: int
    """Tokens to compute."""


Answer = Loading | Loaded | LoadFailed | Answered | Refused | Found | Advanced | Event

_encoder = msgspec.msgpack.Encoder()


def encode(message: Request | Answer) -> bytes:
    """One frame."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class FrameReader(Generic[T]):
    """Bytes in, messages out; frames may arrive in any pieces."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[T]) -> None:
        self._decoder = decoder
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[T]:
        """Messages completed by these bytes. Raises msgspec.DecodeError for a frame that is none."""
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, at)
            if length > LARGEST_FRAME:
                raise msgspec.DecodeError(f"a frame of {length} bytes")
            end = at + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            yield self._decoder.decode(memoryview(self._buffer)[at + _LENGTH.size : end].tobytes())
            at = end
        del self._buffer[:at]


def request_reader() -> FrameReader[Request]:
    """For the worker's side."""
    return FrameReader[Request](msgspec.msgpack.Decoder(Request))


def answer_reader() -> FrameReader[Answer]:
    """For the app's side."""
    return FrameReader[Answer](msgspec.msgpack.Decoder(Answer))
