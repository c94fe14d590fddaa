"""What a person can say about money: prices of their own, and budgets. All in US dollars."""

from __future__ import annotations

from typing import Final

import msgspec

from playground.domain.usage import Usage

_PER_MTOK: Final = 1_000_000


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a million tokens cost at one model; it stands before the table of prices."""

    input_per_mtok: float
    """US dollars per million prompt tokens that are in no cache."""
    output_per_mtok: float
    """US dollars per million tokens written, thinking included."""
    cache_read_per_mtok: float | None = None
    """US dollars per million prompt tokens read from a provider's cache; None: as input."""
    cache_write_5m_per_mtok: float | None = None
    """US dollars per million prompt tokens kept for 5 minutes; None: as input, with Anthropic's API 1.25 times that."""
    cache_write_1h_per_mtok: float | None = None
    """US dollars per million prompt tokens kept for an hour; None: as input, with Anthropic's API twice that."""

    def cost(self, usage: Usage, *, write_5m_factor: float = 1.0, write_1h_factor: float = 1.0) -> float | None:
        """US dollars of one request; None when its prompt was not counted, or counted in a way that cannot be.

        The factors say what writing to a cache costs, in input prices, where this price does not say it.
        """
        read, write_5m, write_1h = usage.cached_tokens or 0, usage.cache_write_5m_tokens, usage.cache_write_1h_tokens
        if usage.prompt_tokens is None or usage.prompt_tokens < read + write_5m + write_1h:
            return None
        plain = self.input_per_mtok
        dollars = (
            (usage.prompt_tokens - read - write_5m - write_1h) * plain
            + read * _or(self.cache_read_per_mtok, plain)
            + write_5m * _or(self.cache_write_5m_per_mtok, plain * write_5m_factor)
            + write_1h * _or(self.cache_write_1h_per_mtok, plain * write_1h_factor)
            + usage.completion_tokens * self.output_per_mtok
        )
        return dollars / _PER_MTOK


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What may be spent before the program asks. None: no limit."""

    per_request_usd: float | None = None
    """US dollars of one request."""
    per_day_usd: float | None = None
    """US dollars of one day, from midnight to midnight where this machine is."""


def usd_text(usd: float) -> str:
    """Money as it is shown: "$0", "$12.30", "$0.0042"; a sum that is there but too small to show is "<$0.0001"."""
    if usd == 0:
        return "$0"
    if 0 < usd < 0.0001:
        return "<$0.0001"
    return f"${usd:,.2f}" if usd >= 1 else f"${usd:.4f}"


def _or(price: float | None, otherwise: float) -> float:
    return otherwise if price is None else price
