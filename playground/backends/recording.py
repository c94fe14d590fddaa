"""Recorded runs: JSON Lines, a header first and then a line an event, with nothing of an event lost.

Bytes are base64. A number that JSON lacks is written as an object, {"float": "-inf"}. Times are milliseconds from
submit; so is `Retrying.resume_at`, but in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from playground.backends.base import Capabilities
from playground.domain.display import display_text
from playground.domain.errors import ConfigError
from playground.domain.events import (
    Event,
    Failed,
    Finished,
    PromptProgress,
    Retrying,
    ThinkingGenerated,
    TokenGenerated,
)
from playground.domain.messages import CallOptions, Prompt
from playground.domain.models import ModelCard
from playground.domain.sampling import SamplingParams
from playground.domain.sizes import size_text
from playground.domain.tokens import Token

FORMAT: Final = 1
ENDING: Final = ".jsonl"
MAX_BYTES: Final = 32_000_000
_LONGEST_MS: Final = 24 * 3600 * 1000
_MARK: Final = "float"
_Line = TypeVar("_Line")
_HINT: Final = "Record it again, or choose another one."


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of whom."""

    recording: int
    """Version of the format."""
    card: ModelCard
    capabilities: Capabilities
    prompt: Prompt
    params: SamplingParams
    options: CallOptions = CallOptions()
    reply_text: str = ""
    """Text with which the reply already began."""


class Entry(msgspec.Struct, frozen=True):
    """An event and when it came."""

    ms: float
    """Milliseconds from submit."""
    event: Event


class Recording(NamedTuple):
    """A recorded run."""

    header: Header
    entries: tuple[Entry, ...]

    @property
    def complete(self) -> bool:
        """False when the recording ends before the reply does."""
        return bool(self.entries) and isinstance(self.entries[-1].event, Finished | Failed)


def encode_line(line: Header | Entry) -> bytes:
    """One line of the file, with its line break."""
    plain = msgspec.to_builtins(line, order="deterministic")
    return msgspec.json.encode(_without_infinities(plain)) + b"\n"


def read_recording(path: Path) -> Recording:
    """Read a whole recording. A last line that was not written to its end is left out.

    Raises ConfigError naming the file and the line.
    """
    name = display_text(str(path)).replace("\n", "␊")
    lines = _lines(path, name)
    if not lines:
        raise ConfigError(f"{name} is empty.", _HINT)
    header = _decoded(lines[0], Header, name, 1)
    if header.recording != FORMAT:
        raise ConfigError(
            f"{name} is a recording of format {header.recording}; this version plays format {FORMAT}.",
            "A newer version of the app may play it.",
        )
    entries = tuple(_decoded(line, Entry, name, number) for number, line in enumerate(lines[1:], 2))
    for number, wrong in _mistakes(entries):
        raise ConfigError(f"{name}, line {number}: {wrong}.", _HINT)
    return Recording(header, entries)


def _lines(path: Path, name: str) -> list[bytes]:
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{name} is not a file.", "Give the path of a recording.")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"There is no recording {name}.", "Check its name.") from None
    except (OSError, ValueError) as error:
        why = display_text(getattr(error, "strerror", None) or str(error))
        raise ConfigError(f"{name} cannot be read: {why}.", "Check the path and its permissions.") from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{name} is larger than {size_text(MAX_BYTES)}.", "Is it a recording?")
    *lines, unfinished = raw.split(b"\n")
    return lines if lines or not unfinished else [unfinished]


def _decoded(line: bytes, kind: type[_Line], name: str, number: int) -> _Line:
    try:
        if b'{"float":' in line:
            return msgspec.convert(_with_infinities(msgspec.json.decode(line)), kind)
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, RecursionError, OverflowError) as error:
        why = display_text(str(error))[:200].rstrip(".")
        raise ConfigError(f"{name}, line {number}, is no part of a recording: {why}.", _HINT) from error


def _mistakes(entries: tuple[Entry, ...]) -> Iterator[tuple[int, str]]:
    """Lines that cannot have been recorded, with what is wrong with them."""
    before, index, over = 0.0, -1, False
    for number, entry in enumerate(entries, 2):
        if over:
            yield number, "it goes on after its end"
        if not before <= entry.ms <= _LONGEST_MS:
            yield number, "its time runs backwards" if 0 <= entry.ms < before else "its time is impossible"
        if not _possible(entry.event):
            yield number, "it holds figures that cannot be"
        if isinstance(entry.event, TokenGenerated):
            at = entry.event.token.index
            if at < 0 or index not in (-1, at - 1):
                yield number, f"token {at} stands in the wrong place"
            index = at
        before, over = entry.ms, isinstance(entry.event, Finished | Failed)


def _possible(event: Event) -> bool:
    """False for figures that a screen could stumble over."""
    match event:
        case TokenGenerated():
            return _possible_token(event.token)
        case ThinkingGenerated():
            return _within(event.time_ms, _LONGEST_MS)
        case PromptProgress():
            return 0 <= event.done <= event.total
        case Retrying():
            return _within(event.resume_at * 1000, _LONGEST_MS) and 0 < event.attempt <= event.attempts
        case Finished():
            usage = event.usage
            return usage.completion_tokens >= 0 and (usage.cost is None or _within(usage.cost, 1e6))
        case _:
            return True


def _possible_token(token: Token) -> bool:
    figures = [(token.logprob, token.prob), *((one.logprob, one.prob) for one in token.top)]
    return (
        _within(token.time_ms, _LONGEST_MS)
        and (token.rank is None or token.rank >= 1)
        and (token.entropy is None or _within(token.entropy, 64))
        and all(logprob is None or logprob < 0.01 for logprob, _ in figures)
        and all(prob is None or _within(prob, 1.01) for _, prob in figures)
        and all(-1 <= one.cut_by < len(token.stages) for one in token.top)
        and all(stage.candidates >= 0 and _within(stage.mass, 1.01) for stage in token.stages)
    )


def _within(value: float, most: float) -> bool:
    return 0 <= value <= most


def _without_infinities(value: Any) -> Any:
    if isinstance(value, float):
        if math.isnan(value):
            return None  # not a number is nothing that was measured
        return value if math.isfinite(value) else {_MARK: str(value)}
    if isinstance(value, list | tuple):
        return [_without_infinities(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_infinities(item) for key, item in value.items()}
    return value


def _with_infinities(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_infinities(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {_MARK} and value[_MARK] in ("inf", "-inf"):
            return float(value[_MARK])
        return {key: _with_infinities(item) for key, item in value.items()}
    return value
