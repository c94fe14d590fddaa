"""The one tree of errors. Each says what happened and what to do next.

PlaygroundError
├── BadInput               what the person gave cannot be used (exit status 2)
│   ├── ModelFileError     a model file that is missing, damaged or of the wrong kind
│   ├── PromptTooLong      the prompt does not fit the context window
│   ├── TemplateError      the model's chat template refuses these messages
│   └── ConfigError        a settings, preset or theme file with a mistake in it
└── RunFailed              something broke while working (exit status 1)
    ├── OutOfMemory        the model or its context does not fit in memory
    └── EngineDied         the worker process ended by itself
"""

from __future__ import annotations

from typing import ClassVar

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

    def __str__(self) -> str:
        """The sentence and the next step on one line."""
        return f"{self.message} {self.hint}".strip()


class PlaygroundError(Exception):
    """Base of everything this project raises on purpose."""

    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    @property
    def problem(self) -> Problem:
        """The same error as a value."""
        return Problem(kind=type(self).__name__, message=self.message, hint=self.hint, detail=self.detail)

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


class ConfigError(BadInput):
    """A settings, preset or theme file with a mistake in it; the message names file and key."""


class RunFailed(PlaygroundError):
    """Something broke while working."""


class OutOfMemory(RunFailed):
    """The model or its context does not fit in memory."""


class EngineDied(RunFailed):
    """The worker process ended by itself."""


_BY_NAME: dict[str, type[PlaygroundError]] = {
    cls.__name__: cls
    for cls in (
        PlaygroundError,
        BadInput,
        ModelFileError,
        PromptTooLong,
        TemplateError,
        ConfigError,
        RunFailed,
        OutOfMemory,
        EngineDied,
    )
}


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
    return _BY_NAME.get(problem.kind, RunFailed)(problem.message, problem.hint, problem.detail)
