"""Logit biases in words: which token is banned, which is likelier or less likely by how much."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from playground.domain.display import visible_piece
from playground.domain.errors import BadInput
from playground.domain.tokens import Candidate, Token

BAN: Final = -math.inf
STEP: Final = 1.0
"""What one press adds to a logit."""
NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})
_LARGEST: Final = 100.0


def bias_key(bias: Mapping[str, float], token: Candidate | Token) -> str:
    """The name under which a token's bias is kept: as it was named before, else "#id".

    Raises BadInput for a token whose id nobody told.
    """
    text = token.piece.decode(errors="replace")
    if text in bias:
        return text
    if token.id is None:
        raise BadInput(
            "This server does not tell the ids of its tokens, and only by its id can a token be bent.",
            "Choose a local model or a llama.cpp server.",
        )
    return f"#{token.id}"


def with_ban(bias: Mapping[str, float], token: Candidate | Token) -> dict[str, float]:
    """The same with the token banned, or allowed again if it was banned. Raises BadInput without an id."""
    key = bias_key(bias, token)
    return _with(bias, key, 0.0 if bias.get(key) == BAN else BAN)


def with_step(bias: Mapping[str, float], token: Candidate | Token, amount: float) -> dict[str, float]:
    """The same with so much added to the token's logit; a ban is lifted first. Raises BadInput without an id."""
    key = bias_key(bias, token)
    before = bias.get(key, 0.0)
    now = amount if before == BAN else before + amount
    return _with(bias, key, min(_LARGEST, max(-_LARGEST, now)))


def bias_of(bias: Mapping[str, float], token: Candidate) -> float:
    """What is added to a candidate's logit; 0 for nothing."""
    by_id = bias.get(f"#{token.id}") if token.id is not None else None
    return by_id if by_id is not None else bias.get(token.piece.decode(errors="replace"), 0.0)


def _with(bias: Mapping[str, float], key: str, value: float) -> dict[str, float]:
    changed = {**bias, key: value}
    if value == 0.0:
        del changed[key]
    return changed


def amount_text(value: float) -> str:
    """Such as "+1.5" or "banned"."""
    return "banned" if value == BAN else f"{value:+g}"


def token_name(key: str, names: Mapping[str, str]) -> str:
    """A biased token as it is shown: its text, in which nothing is invisible; "#id" for one nobody named.

    Args:
        key: as it stands in the logit bias.
        names: texts of tokens by "#id".
    """
    return names.get(key, key) if key.startswith("#") else visible_piece(key.encode(errors="replace"))


def describe_biases(bias: Mapping[str, float], names: Mapping[str, str], most: int = 2) -> str:
    """Such as "·the banned, ·Yes +1, …"; "none" for none."""
    parts = [f"{token_name(key, names)} {amount_text(value)}" for key, value in bias.items()]
    return ", ".join([*parts[:most], *(["…"] if len(parts) > most else [])]) or "none"


def describe_bias_change(
    old: Mapping[str, float], new: Mapping[str, float], names: Mapping[str, str], most: int = 3
) -> str:
    """Such as "·the banned, ·Yes +0 → +1"; what was taken back ends in 0 or "allowed"."""
    parts: list[str] = []
    for key in (*(key for key in old if key not in new), *(key for key in new if old.get(key) != new[key])):
        before, after = old.get(key, 0.0), new.get(key, 0.0)
        name = token_name(key, names)
        if BAN in (before, after):
            parts.append(f"{name} {amount_text(after) if after else 'allowed again'}")
        else:
            parts.append(f"{name} {before:+g} → {after:+g}" if before else f"{name} {after:+g}")
    return ", ".join([*parts[:most], *(["…"] if len(parts) > most else [])])
