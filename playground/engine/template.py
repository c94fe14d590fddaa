"""The model's own chat template, rendered in a sandbox.

Templates are programs from a stranger's file: jinja2's immutable sandbox lets them read the messages and nothing else,
and `template_limits` bounds the time, memory and size they take.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NoReturn

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import CallBlock, Node
from jinja2.parser import Parser

from playground.domain.display import display_line
from playground.domain.errors import TemplateError
from playground.domain.messages import Message, Role
from playground.engine.template_limits import MOST_MEMORY, BoundedEnvironment, Endless, Exceeded, bounded

_BREAKS: Final = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
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
    environment = BoundedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _GenerationTag])
    environment.filters["tojson"] = _to_json
    environment.guard_filters()
    environment.globals.update(raise_exception=_refuse, strftime_now=_now)
    return environment.from_string(source)


def render(
    template: str, messages: Sequence[Message], *, begin: str, end: str, model: str = "the model"
) -> tuple[str, str]:
    """Text of the prompt, ready for the model's reply, and a note when something had to be changed.

    A template that refuses a system message gets it in front of the first user message instead; one that refuses two
    messages of the same side in a row, as after a reply that failed, gets them as one.

    Args:
        template: Jinja source, from the model file.
        messages: the conversation.
        begin: name of the beginning-of-text token, as templates expect it in `bos_token`.
        end: the same for `eos_token`.
        model: whose template it is, for errors.

    Raises:
        TemplateError: the template is broken, takes too much time or memory, or refuses these messages.
    """
    refusal: _Refused | None = None
    for changed, note in _ways(messages):
        try:
            return _render(template, changed, begin, end, model), note
        except _Refused as error:
            refusal = error
    assert refusal is not None, "there is at least one way"
    raise _refuses(model, refusal) from refusal


def _refuses(model: str, refusal: _Refused) -> TemplateError:
    return TemplateError(f"The chat template of {display_line(model)} refuses this conversation: {refusal}.")


_endless: Final[dict[str, int]] = {}
"""Templates that did not come to an end, and the smallest conversation with which they did not, as `_size_of` measures
it: the person who types on does not wait for each of them again. A smaller one is another try."""


def _size_of(messages: Sequence[Message]) -> int:
    return len(messages) + sum(len(message.content) for message in messages)


def _render(template: str, messages: Sequence[Message], begin: str, end: str, model: str) -> str:
    plain = [{"role": str(message.role), "content": message.content} for message in messages]
    size = _size_of(messages)
    limits = bounded()  # out here: what it raises is a mistake of ours and not of the template's
    try:
        if size >= _endless.get(template, size + 1):
            raise Endless
        with limits:
            return _compile(template).render(
                messages=plain, bos_token=begin, eos_token=end, add_generation_prompt=True, tools=None
            )
    except _BREAKS as error:
        why = "is broken: " + (" ".join(str(error).split()) or type(error).__name__)
    except Endless as error:
        _endless[template] = min(size, _endless.get(template, size))
        why = str(error)
    except (Exceeded, MemoryError) as error:
        why = str(error) or f"takes more than {MOST_MEMORY >> 20} MB of memory"
    hint = "Raw mode (F7, or --raw) needs no template; another model has another one."
    raise TemplateError(f"The chat template of {display_line(model)} {why}.", hint)


_FOLDED: Final = "This model's template takes no system message: it was put before your first message."
_JOINED: Final = "This model's template takes no two messages of one side in a row: they were put together."


def _ways(messages: Sequence[Message]) -> Iterator[tuple[Sequence[Message], str]]:
    """The conversation as it is, then as a template may take it that refuses it, each with what is to be said."""
    yield messages, ""
    folded, joined = _fold_system(messages), _join_neighbours(messages)
    if folded is not None:
        yield folded, _FOLDED
    if len(joined) < len(messages):
        yield joined, _JOINED
        both = _fold_system(joined)
        if both is not None:
            yield both, f"{_FOLDED} {_JOINED}"


def _join_neighbours(messages: Sequence[Message]) -> tuple[Message, ...]:
    joined: list[Message] = []
    for message in messages:
        if joined and joined[-1].role is message.role:
            joined[-1] = Message(message.role, f"{joined[-1].content}\n\n{message.content}")
        else:
            joined.append(message)
    return tuple(joined)


def _fold_system(messages: Sequence[Message]) -> tuple[Message, ...] | None:
    if len(messages) < 2 or messages[0].role is not Role.SYSTEM or messages[1].role is not Role.USER:
        return None
    first = Message(Role.USER, f"{messages[0].content}\n\n{messages[1].content}")
    return (first, *messages[2:])
