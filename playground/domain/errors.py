"""The one tree of errors. Each says what happened and what to do next.

PlaygroundError
├── BadInput               what the person gave cannot be used (exit status 2)
│   ├── ModelFileError     a model file that is missing, damaged or of the wrong kind
│   ├── PromptTooLong      the prompt does not fit the context window
│   ├── TemplateError      the model's chat template refuses these messages
│   ├── GrammarError       a grammar or JSON schema with a mistake in it
│   ├── ConfigError        a settings, preset or theme file with a mistake in it
│   ├── Unsupported        this backend cannot do it
│   ├── KeyMissing         no API key for an endpoint
│   ├── KeyRefused         the server does not accept the key, or not for this
│   ├── RequestRefused     the server does not accept what was asked of it
│   └── BudgetReached      a budget the person set would be overdrawn
├── Superseded             a newer question of the same kind took this one's place
└── RunFailed              something broke while working (exit status 1)
    ├── OutOfMemory        the model or its context does not fit in memory
    ├── EngineDied         the worker process ended by itself
    ├── HistoryUnusable    the file that history is kept in cannot be read or written
    └── HostedError        something between here and a server, or in the server
        ├── RateLimited        too many requests
        ├── Overloaded         the server has no room at the moment
        ├── ServerFailed       the server broke
        ├── ServerUnreachable  no connection, or none any more before a word came
        ├── ServerStalled      the server sends nothing any more
        ├── StreamCutOff       the stream ended without its closing event
        └── BadReply           what came back cannot be read
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error as it travels between processes and onto the screen."""

    kind: str
    """Name of the error class, e.g. "PromptTooLong"."""
    message: str
    """What happened, one sentence, for a person."""
    hint: str = ""
    """What to do next; empty when there is nothing to be done."""
    detail: str = ""
    """More for those who look closer, e.g. the last lines of a log."""
    retryable: bool = False
    """Worth trying again as it is."""
    retry_after_s: float | None = None
    """Seconds the server asks to wait before that; None when it does not say."""

    @property
    def kind_in_words(self) -> str:
        """Such as "rate limited", for places where a sentence does not fit."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.kind).lower()

    def __str__(self) -> str:
        """The sentence and the next step on one line."""
        return f"{self.message} {self.hint}".strip()


class PlaygroundError(Exception):
    """Base of everything this project raises on purpose."""

    exit_status: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    """Worth trying again as it is."""
    retry_after_s: float | None = None

    def __init__(self, message: str, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    @property
    def problem(self) -> Problem:
        """The same error as a value."""
        return Problem(
            kind=type(self).__name__,
            message=self.message,
            hint=self.hint,
            detail=self.detail,
            retryable=self.retryable,
            retry_after_s=self.retry_after_s,
        )

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class BadInput(PlaygroundError):
    """What the person gave cannot be used."""

    exit_status = 2


class ModelFileError(BadInput):
    """A model file that is missing, damaged or of the wrong kind."""


class PromptTooLong(BadInput):
    """The prompt does not fit the context window."""


class TemplateError(BadInput):
    """The model's chat template refuses these messages."""


class GrammarError(BadInput):
    """A grammar or a JSON schema with a mistake in it; the message names the place."""

    line: int = 0
    """Line and column of the mistake, from 1; 0 when it has no place in the text."""
    column: int = 0


class ConfigError(BadInput):
    """A settings, preset or theme file with a mistake in it; the message names file and key."""


class Unsupported(BadInput):
    """This backend cannot do it; the message says which and why."""


class KeyMissing(BadInput):
    """There is no API key for an endpoint; the hint says where to put one."""


class KeyRefused(BadInput):
    """The server does not accept the key, or not for this model."""


class RequestRefused(BadInput):
    """The server does not accept what was asked of it, such as a parameter it does not know."""


class BudgetReached(BadInput):
    """A budget the person set would be overdrawn; nothing was sent."""


class Superseded(PlaygroundError):
    """A newer question of the same kind took this one's place, so it has no answer; nothing is wrong."""


class RunFailed(PlaygroundError):
    """Something broke while working."""


class OutOfMemory(RunFailed):
    """The model or its context does not fit in memory."""


class EngineDied(RunFailed):
    """The worker process ended by itself."""


class HistoryUnusable(RunFailed):
    """The file that history is kept in cannot be read or written."""


class HistoryNotWritten(HistoryUnusable):
    """The history cannot be written at the moment: its disk is full, say, or another program holds it."""

    retryable = True


class HostedError(RunFailed):
    """Something between here and a server, or in the server. What was written before stays."""

    def __init__(self, message: str, hint: str = "", detail: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(message, hint, detail)
        self.retry_after_s = retry_after_s


class RateLimited(HostedError):
    """Too many requests, or tokens, in a while."""

    retryable = True


class Overloaded(HostedError):
    """The server has no room at the moment."""

    retryable = True


class ServerFailed(HostedError):
    """The server broke while it worked on the request."""

    retryable = True


class ServerUnreachable(HostedError):
    """No connection could be made, or it broke before a word came."""

    retryable = True


class ServerStalled(HostedError):
    """The server sends nothing any more, though the connection stands."""

    retryable = True


class StreamCutOff(HostedError):
    """The stream ended without its closing event: the reply is not complete."""


class BadReply(HostedError):
    """What came back cannot be read."""


def _tree(root: type[PlaygroundError]) -> list[type[PlaygroundError]]:
    return [root, *(cls for child in root.__subclasses__() for cls in _tree(child))]


_BY_NAME: Final[dict[str, type[PlaygroundError]]] = {cls.__name__: cls for cls in _tree(PlaygroundError)}


_NO_MEMORY = (
    "failed to allocate",
    "unable to allocate",
    "cannot allocate",
    "insufficient memory",
    "out of memory",
    "bad_alloc",
    "MemoryError",
)


def tells_of_no_memory(log: str) -> bool:
    """True when a program's last words were that it got no memory."""
    return any(words.casefold() in log.casefold() for words in _NO_MEMORY)


def as_error(problem: Problem) -> PlaygroundError:
    """Turn a problem that came over a pipe back into the error it was."""
    error = _BY_NAME.get(problem.kind, RunFailed)(problem.message, problem.hint, problem.detail)
    error.retry_after_s = problem.retry_after_s
    return error
