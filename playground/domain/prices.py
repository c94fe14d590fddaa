"""What a person can say about money: prices of their own, and budgets. All in US dollars."""

from __future__ import annotations

import msgspec


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a million tokens cost at one model; it stands before the table of prices."""

    input_per_mtok: float
    """US dollars per million prompt tokens that are in no cache."""
    output_per_mtok: float
    """US dollars per million tokens written, thinking included."""
    cache_read_per_mtok: float | None = None
    """US dollars per million prompt tokens read from a provider's cache; None: as input."""
    cache_write_5m_per_mtok: float | None = None
    """US dollars per million prompt tokens kept for 5 minutes; None: as input."""
    cache_write_1h_per_mtok: float | None = None
    """US dollars per million prompt tokens kept for an hour; None: as input."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What may be spent before the program asks. None: no limit."""

    per_request_usd: float | None = None
    """US dollars of one request."""
    per_day_usd: float | None = None
    """US dollars of one day, from midnight to midnight where this machine is."""
