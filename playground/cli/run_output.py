"""What `llm-playground run` puts out: the reply as text, or every event as JSON."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, TextIO

import click
import msgspec

from playground.domain.display import display_text
from playground.domain.errors import Problem, as_error
from playground.domain.events import (
    Event,
    Failed,
    FellBack,
    Finished,
    ParamsChanged,
    PromptProgress,
    Retrying,
    Started,
    StopReason,
    TokenGenerated,
)
from playground.domain.models import ModelCard
from playground.domain.stop_strings import held_back
from playground.domain.tokens import TextDecoder
from playground.domain.watch_list import Peak
from playground.services.json_events import JsonEvents
from playground.services.runs import Pricer, priced

INTERRUPTED: Final = 130
"""Exit status after Ctrl+C, as shells have it."""


def say(what: object) -> None:
    """One line on standard error."""
    click.echo(f"llm-playground: {display_text(' '.join(str(what).split()))}", err=True)


def write_json(value: dict[str, Any]) -> None:
    """One JSON object on a line of standard output."""
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


_NEWS: Final = (StopReason.REFUSAL, StopReason.FILTERED, StopReason.PAUSE, StopReason.TOOL_USE, StopReason.UNKNOWN)
"""Ends that the text itself does not tell."""


class Output(ABC):
    """Takes events; an error in writing is kept and raised at the end, outside the backend."""

    def __init__(self) -> None:
        self.when_broken: Callable[[], None] = lambda: None
        """Called once when nobody reads the output any more."""
        self.price: Pricer = lambda _card, usage: usage.cost
        self.follow: Callable[[Event], None] = lambda _event: None
        """Is given every event, with what the reply cost, whether somebody reads the output or not."""
        self.answering: ModelCard | None = None
        """The model that answers; another one may take over."""
        self._status = 0
        self._problem: Problem | None = None
        self._broken: BrokenPipeError | None = None

    def take(self, event: Event) -> None:
        """Take one event of the run; an `EventSink`."""
        if isinstance(event, Failed):
            self._problem = event.problem
        if isinstance(event, Finished) and event.reason is StopReason.CANCELLED:
            self._status = INTERRUPTED
        if isinstance(event, FellBack):
            self.answering = event.card
        if isinstance(event, Finished):
            event = priced(event, self.answering, self.price)
        self.follow(event)
        if self._broken is None:
            try:
                self.write(event)
            except BrokenPipeError as error:
                self._broken = error
                self.when_broken()

    @abstractmethod
    def write(self, event: Event) -> None:
        """Put one event out; may raise BrokenPipeError."""

    def close(self) -> int:
        """Exit status; raises what went wrong."""
        if self._broken is not None:
            raise self._broken
        if self._problem is not None:
            raise as_error(self._problem)
        return self._status


class JsonOutput(Output):
    """Everything as JSON, one object a line."""

    def __init__(self, events: JsonEvents) -> None:
        super().__init__()
        self._events = events

    def write(self, event: Event) -> None:
        """See Output."""
        if not isinstance(event, PromptProgress | ParamsChanged | Failed):
            write_json(self._events.convert(event))


class TextOutput(Output):
    """The reply as text. What could become a stop string is held back; a terminal never gets control characters."""

    def __init__(self, out: TextIO, stops: tuple[str, ...]) -> None:
        super().__init__()
        self._out = out
        self._safe = out.isatty()
        self._stops = stops
        self._decoder = TextDecoder()
        self._held = ""
        self._printed = 0
        self._peaks: list[Peak] = []

    def write(self, event: Event) -> None:
        """See Output."""
        if isinstance(event, Started):
            self._peaks = [Peak(word) for word in event.watching]
            for note in filter(None, (event.note, *(word.note for word in event.watching))):
                say(note)
        elif isinstance(event, Retrying):
            say(f"{event.problem.message} Attempt {event.attempt + 1} of {event.attempts} follows.")
        elif isinstance(event, FellBack):
            say(f"{event.card.short_name} takes over: {event.problem.message}")
        elif isinstance(event, TokenGenerated):
            for peak in self._peaks:
                peak.add(event.token)
            self._held += self._decoder.feed(event.token.piece)
            ready = len(self._held) - held_back(self._held, self._stops)
            if not any(stop in self._held for stop in self._stops):
                self._print(self._held[:ready])
                self._held = self._held[ready:]
        elif isinstance(event, Finished):
            self._print(event.text[self._printed :] + "\n")
            for peak in self._peaks:
                say(f"watched {peak.text}")
            if event.reason in _NEWS:
                say(f"The reply ended: {event.reason.sentence}{f' ({event.detail})' if event.detail else ''}.")
        elif isinstance(event, Failed) and (self._printed or self._held):
            self._print(self._held + self._decoder.finish() + "\n")

    def _print(self, text: str) -> None:
        self._printed += len(text)
        self._out.write(display_text(text) if self._safe else text)
        self._out.flush()
