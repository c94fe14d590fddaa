"""How many there are of something, in words that fit one as well as many."""

from __future__ import annotations


def count_of(number: int, thing: str, things: str = "") -> str:
    """A number with what it counts, such as "1 token", "2,400 tokens" or "0 replies".

    Args:
        number: How many there are.
        thing: What one of them is called.
        things: What many are called, where that is not `thing` with an s.
    """
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"
