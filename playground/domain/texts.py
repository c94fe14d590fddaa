"""Texts that people hand to the program."""

from __future__ import annotations

from playground.domain.errors import BadInput


def check_text(given: str, what: str = "This") -> None:
    """Raises BadInput, naming `what`, for half characters: so Python hands on bytes that are no UTF-8."""
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"{what} is not UTF-8 text: {given[:40]!r}.", "Convert it first.") from error
