"""What a chat template may take: processor time, memory, and the size of what it makes.

A template is a program out of a stranger's file. The sandbox keeps it from reaching out; nothing in it keeps it from
going on for ever or from filling the memory. A loop is broken off by a signal when its time is up. Memory is held by
the kernel, where it does so (Linux), and by looking at sizes before they come to be.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sized
from functools import cache, wraps
from types import FrameType
from typing import Any, Final

from jinja2.compiler import CodeGenerator
from jinja2.filters import make_attrgetter
from jinja2.nodes import BinExpr, Concat
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_environment

MOST_CPU_S: Final = 3.0
"""Seconds of processor time for one rendering. A usual template takes less than a thousandth."""
_LAST_CPU_S: Final = 20.0
"""After so much the process is ended: for what does not come back to Python, where no signal is looked at."""
MOST_ITEMS: Final = 10_000_000
"""Characters of a text, items of a list."""
_MOST_BITS: Final = 100_000
"""Of a whole number."""
MOST_MEMORY: Final = 512 << 20
"""Bytes that may be added to what the process has."""
_GROWING: Final = (str, list, tuple)
_CONVERSION: Final = re.compile(
    r"%(?:\([^()]*\))?[-+ #0]*(?P<width>\*|\d*)(?:\.(?P<precision>\*|\d*))?(?P<kind>[hlL]?.)", re.DOTALL
)
"""What stands for a value in a text for `%`; its kind is "(" where its name has parentheses of its own."""
_MOST_DIGITS: Final = 6
"""Of a width."""


class Exceeded(BaseException):
    """A template takes too much: a sentence's end, such as "does not come to an end". No template can catch it."""


class Endless(Exceeded):
    """It takes too much time."""

    def __init__(self) -> None:
        super().__init__(f"does not come to an end within {MOST_CPU_S:g} seconds")


class _Watch:
    """Whether a template is being rendered in this process."""

    rendering = False


def _time_is_up(_: int, __: FrameType | None) -> None:
    if _Watch.rendering:
        raise Endless


def bounded() -> contextlib.AbstractContextManager[None]:
    """Bound the time and memory of what runs inside. Raises Exceeded; memory that is refused is a MemoryError.

    Raises RuntimeError at once, before it is entered, outside the main thread: no other gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("a chat template is to be rendered in the main thread: nothing can break it off in another")
    return _bounds()


@contextlib.contextmanager
def _bounds() -> Iterator[None]:
    before, memory = signal.signal(signal.SIGPROF, _time_is_up), _hold_memory()
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, _LAST_CPU_S)
        # Again and again: what is raised while Python tidies up is lost.
        signal.setitimer(signal.ITIMER_PROF, MOST_CPU_S, 1.0)
        _Watch.rendering = True
        try:
            yield
        finally:
            _Watch.rendering = False
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGPROF, before)
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, memory)


@cache
def _own_size() -> int:
    """A file that tells how much memory this process has; open for as long as it lives, as each rendering asks."""
    return os.open("/proc/self/statm", os.O_RDONLY)


def _hold_memory() -> tuple[int, int] | None:
    """Let the process take only a little more memory, and tell what it was allowed before; None where none can tell."""
    if sys.platform != "linux":
        return None
    try:
        pages = int(os.pread(_own_size(), 64, 0).split()[0])
        before = resource.getrlimit(resource.RLIMIT_AS)
        most = pages * resource.getpagesize() + MOST_MEMORY
        if before[0] == resource.RLIM_INFINITY or most < before[0]:
            resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    except (OSError, ValueError):
        return None
    return before


class _Generator(CodeGenerator):
    """Puts texts together (`~` and `+`) where it can be seen how long they become, at little cost."""

    def visit_Add(self, node: BinExpr, frame: Any) -> None:
        self.write("environment.plus(")
        self.visit(node.left, frame)
        self.write(", ")
        self.visit(node.right, frame)
        self.write(")")

    def visit_Concat(self, node: Concat, frame: Any) -> None:
        self.write("environment.concat(map(str, (")
        for one in node.nodes:
            self.visit(one, frame)
            self.write(", ")
        self.write(")))")


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, which also looks at how large things become. Raises Exceeded."""

    intercepted_binops = frozenset(("*", "**", "%"))
    code_generator_class = _Generator

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        del self.globals["lipsum"]  # text without end for nothing

    def guard_filters(self) -> None:
        """Let no filter be told to make something huge. To be called when all filters are there."""
        self.filters = {name: _guarded(function) for name, function in {**self.filters, "sum": _sum}.items()}

    @staticmethod
    def concat(pieces: Iterable[str]) -> str:
        """Put pieces of text together."""
        texts, size = [], 0
        for piece in pieces:
            size += len(piece)
            if size > MOST_ITEMS:
                raise _too_long()
            texts.append(piece)
        return "".join(texts)

    @staticmethod
    def plus(left: Any, right: Any) -> Any:
        """Add, or put two together."""
        whole = left + right
        if isinstance(whole, _GROWING) and len(whole) > MOST_ITEMS:
            raise _too_long()
        return whole

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute, if the outcome has a size."""
        if operator == "%":
            if isinstance(left, str) and _is_wide(left):
                raise _too_long()
        elif isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length() + right.bit_length() if operator == "*" else left.bit_length() * max(0, right)
            if bits > _MOST_BITS:
                raise Exceeded("computes with numbers of more than 30,000 digits")
        elif operator == "*":
            times, thing = (right, left) if isinstance(left, Sized) else (left, right)
            size = times * len(thing) if isinstance(times, int) and isinstance(thing, Sized) else 0
            if size > MOST_ITEMS:
                raise _too_long()
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, function: Any, /, *args: Any, **named: Any) -> Any:
        """Call what a template calls."""
        _refuse_huge(args, named)
        return super().call(context, function, *args, **named)


@pass_environment
def _sum(environment: BoundedEnvironment, things: Iterable[Any], attribute: str | None = None, start: Any = 0) -> Any:
    """Jinja's filter, one step at a time: Python's `sum` looks at no signal while it puts lists together."""
    if attribute is not None:
        things = map(make_attrgetter(environment, attribute), things)
    for thing in things:
        start = environment.plus(start, thing)
    return start


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def guarded(*args: Any, **named: Any) -> Any:
        _refuse_huge(args, named)
        return function(*args, **named)

    return guarded


def _refuse_huge(args: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Raise Exceeded for a number that would be a width, an indent or a count of something huge."""
    for value in args:
        if type(value) is int and value > MOST_ITEMS:
            raise _too_long()
    for value in named.values():
        if type(value) is int and value > MOST_ITEMS:
            raise _too_long()


def _is_wide(pattern: str) -> bool:
    """True when a text for `%` asks for a width that is huge or is told with the values."""
    for found in _CONVERSION.finditer(pattern):
        for digits in (found["width"], found["precision"] or ""):
            if digits == "*" or len(digits) > _MOST_DIGITS:
                return True
        if found["kind"] == "(":
            return True
    return False


def _too_long() -> Exceeded:
    return Exceeded(f"makes a text or list of more than {MOST_ITEMS:,} characters or items")
