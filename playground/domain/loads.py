"""A load on a model, what it costs, how long one waits, and from when on it pays to keep a prompt in a cache."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import msgspec

DAYS_A_MONTH: Final = 30
SECONDS_A_DAY: Final = 86_400
KEEP_S: Final = {"5m": 300, "1h": 3600}
"""How long a provider that is paid for it keeps a prompt after it was used last."""
PROVIDERS_OWN: Final = "auto"
"""Kept by the provider without being asked, for as long as it likes."""
LEAST_CACHED: Final = 1024
"""Tokens below which most providers keep nothing; some ask for up to 4,096, by model."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How a model would be used."""

    requests_per_day: float
    prompt_tokens: int
    """Of one request, the cached part included."""
    completion_tokens: int
    cached_share: float = 0.0
    """Part of the prompt that is read from the provider's cache, 0 to 1."""
    ttft_ms: float | None = None
    tokens_per_second: float | None = None

    @property
    def tokens(self) -> int:
        """Prompt and reply of one request, which have to go into a context window together."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def cacheable_tokens(self) -> int:
        """Tokens of the part that is kept; the whole prompt where no share was given."""
        return round(self.prompt_tokens * (self.cached_share or 1.0))


class Times(NamedTuple):
    """How fast a model was. None: nobody measured it."""

    ttft_ms: float | None
    tokens_per_second: float | None


class Caching(msgspec.Struct, frozen=True, kw_only=True):
    """What keeping a prompt in the provider's cache costs, and from when on it pays."""

    kept: str
    """"5m", "1h", or "auto" where the provider decides."""
    write: float
    """US dollars to write the cached part once."""
    read: float
    """US dollars to read it once."""
    plain: float
    """US dollars to send it without a cache once."""
    pays_from_reads: int | None
    """Reads of one writing from which on it is cheaper; None: never."""
    pays_from_requests_per_day: float | None
    """Requests a day, evenly spread, from which on each finds what the one before has left.

    None: it never pays, or nobody tells how long it is kept.
    """

    def cost(self, requests: int) -> float:
        """US dollars of the cached part in so many requests of one window: one writes, the others read."""
        return self.write + (requests - 1) * self.read if requests > 0 else 0.0


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A load on one model. None is "nobody knows"."""

    model: str
    request: float | None
    """US dollars of one request."""
    day: float | None
    month: float | None
    """Of 30 days."""
    uncached_request: float | None = None
    """The same three where nothing is read from a cache."""
    uncached_day: float | None = None
    uncached_month: float | None = None
    response_s: float | None
    """TTFT and the time to write the reply: what a person waits for the whole of it."""
    waiting_s: float | None = None
    """The part of it in which nothing is to be seen."""
    writing_s: float | None = None
    """The part of it in which the reply is written."""
    caching: tuple[Caching, ...] = ()


def reads_to_break_even(plain: float, write: float, read: float) -> int | None:
    """Reads n from which on writing once and reading n times is cheaper than sending n + 1 times; None: never.

    write + n * read < (n + 1) * plain holds from n > (write - plain) / (plain - read) on.
    """
    if read >= plain:
        return None
    return max(0, math.floor((write - plain) / (plain - read) + 1e-9) + 1)
