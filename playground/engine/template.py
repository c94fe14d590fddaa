"""The model's own chat template, rendered in a sandbox.

Templates are programs from a stranger's file: jinja2's immutable sandbox lets them read the messages and nothing else.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NoReturn

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import CallBlock, Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from playground.domain.errors import TemplateError
from playground.domain.messages import Message, Role

_BREAKS: Final = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What a program of someone else's can raise; `SyntaxError`: Python does not nest blocks as deeply as Jinja."""


class _Refused(Exception):
    """The template called raise_exception."""


class _GenerationTag(Extension):
    """`{% generation %}` marks the assistant's words for training; here it is transparent."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own interface

    def parse(self, parser: Parser) -> Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return CallBlock(self.call_method("_keep"), [], [], body).set_lineno(line)

    def _keep(self, caller: Callable[[], str]) -> str:
        return caller()


def _refuse(message: object) -> NoReturn:
    raise _Refused(str(message))


def _to_json(value: Any, indent: int | None = None, **_: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _now(pattern: str) -> str:
    return datetime.datetime.now().astimezone().strftime(pattern)


@lru_cache(maxsize=8)
def _compile(source: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _GenerationTag]
    )
    environment.filters["tojson"] = _to_json
    environment.globals.update(raise_exception=_refuse, strftime_now=_now)
    return environment.from_string(source)


def render(template: str, messages: Sequence[Message], *, begin: str, end: str) -> tuple[str, str]:
    """Text of the prompt, ready for the model's reply, and a note when something had to be changed.

    A template that refuses a system message gets it in front of the first user message instead.

    Args:
        template: Jinja source, from the model file.
        messages: the conversation.
        begin: name of the beginning-of-text token, as templates expect it in `bos_token`.
        end: the same for `eos_token`.

    Raises:
        TemplateError: the template is broken, or refuses these messages.
    """
    try:
        return _render(template, messages, begin, end), ""
    except _Refused as refusal:
        folded = _fold_system(messages)
        if folded is None:
            raise TemplateError(f"The model's chat template refuses this conversation: {refusal}.") from refusal
        try:
            text = _render(template, folded, begin, end)
        except _Refused as second:
            raise TemplateError(f"The model's chat template refuses this conversation: {second}.") from second
        return text, "This model's template takes no system message: it was put before your first message."


def _render(template: str, messages: Sequence[Message], begin: str, end: str) -> str:
    plain = [{"role": str(message.role), "content": message.content} for message in messages]
    try:
        return _compile(template).render(
            messages=plain, bos_token=begin, eos_token=end, add_generation_prompt=True, tools=None
        )
    except _BREAKS as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise TemplateError(
            f"The model's chat template is broken: {why}.", "Use raw mode, which needs no template."
        ) from error


def _fold_system(messages: Sequence[Message]) -> tuple[Message, ...] | None:
    if len(messages) < 2 or messages[0].role is not Role.SYSTEM or messages[1].role is not Role.USER:
        return None
    first = Message(Role.USER, f"{messages[0].content}\n\n{messages[1].content}")
    return (first, *messages[2:])
