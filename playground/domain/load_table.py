"""Estimates as text: money and seconds, when a cache pays, and the whole table to be taken along."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from playground.domain.compare_rows import in_markdown, in_sheet
from playground.domain.display import display_line
from playground.domain.loads import KEEP_S, LEAST_CACHED, SECONDS_A_DAY, Caching, Estimate, Load
from playground.domain.prices import usd_text

UNKNOWN: Final = "–"
_MINUTES_S, _HOURS_S, _DAYS_S = 600, 5_970, 360_000
"""From when on a time is told in so many of these: none takes more than seven cells."""
_KEPT: Final = {"5m": "5 minutes", "1h": "1 hour"}
_ENDINGS: Final = {1: "st", 2: "nd", 3: "rd"}


class Sorting(NamedTuple):
    """An order of the table."""

    name: str
    key: Callable[[Estimate], float | str | None]


SORTINGS: Final = (
    Sorting("cost", lambda row: row.day),
    Sorting("cost without cache", lambda row: row.uncached_day),
    Sorting("time", lambda row: row.response_s),
    Sorting("model", lambda row: row.model.casefold()),
)
"""What is cheapest, or quickest, comes first, and what nobody knows last."""


def in_order(rows: Iterable[Estimate], sorting: Sorting) -> list[Estimate]:
    """The rows in an order; those that are equal by their names."""

    def place(row: Estimate) -> tuple[bool, float | str, str]:
        value = sorting.key(row)
        return value is None, "" if value is None else value, row.model

    return sorted(rows, key=place)


def money(usd: float | None) -> str:
    """US dollars that were reckoned: "≈$0.0042", "≈$12,300", "$0" for what costs nothing, "–" for what nobody knows."""
    if usd is None:
        return UNKNOWN
    if usd == 0:
        return "$0"
    if usd < 0.0001:
        return f"≈${usd:.6f}" if usd >= 1e-6 else "<$0.000001"
    if usd >= 999_999.5:
        number, unit = (usd / 1e9, "bn") if usd >= 999_500_000 else (usd / 1e6, "M")
        return f"≈${number:,.0f}{unit}" if number >= 999.5 else f"≈${number:.3g}{unit}"
    return f"≈${usd:,.0f}" if usd >= 1000 else f"≈{usd_text(usd)}"


def seconds(time_s: float | None) -> str:
    """A time that was reckoned: "≈0.42 s", "≈12 s", "≈20 min", "≈9.3 h", "≈23 d"; "–" for one that nobody knows."""
    if time_s is None:
        return UNKNOWN
    if time_s >= _HOURS_S:
        count, unit = (time_s / 86_400, "d") if time_s >= _DAYS_S else (time_s / 3600, "h")
        return f"≈{count:,.1f} {unit}" if count < 9.95 else f"≈{count:,.0f} {unit}"
    if time_s >= _MINUTES_S:
        return f"≈{time_s / 60:.0f} min"
    return f"≈{time_s:.2f} s" if time_s < 1 else f"≈{time_s:.1f} s" if time_s < 100 else f"≈{time_s:.0f} s"


def kept_text(kept: str) -> str:
    """How long a prompt is kept, in words."""
    return _KEPT.get(kept, "by the provider")


def pays_text(caching: Caching, *, window: bool = True) -> str:
    """From when on it pays, as a part of a sentence; `window` adds within which time."""
    reads = caching.pays_from_reads
    if reads is None:
        return "never pays"
    if reads == 0:
        return "pays with every request"
    within = f" within {_KEPT[caching.kept]}" if window and caching.kept in _KEPT else ""
    return f"pays from the {_ordinal(reads + 1)} request{within} on"


def pace_text(caching: Caching, load: Load) -> str:
    """Whether a load that is evenly spread comes often enough; empty where that cannot be told."""
    keep_s, needed = KEEP_S.get(caching.kept), caching.pays_from_requests_per_day
    if keep_s is None or needed is None or load.requests_per_day <= 0:
        return ""
    gap_s = SECONDS_A_DAY / load.requests_per_day
    every = f"every {gap_s:,.1f} s" if gap_s < 100 else f"every {gap_s / 60:,.0f} minutes"
    if gap_s < 1:
        every = "many a second"
    if load.requests_per_day >= needed:
        return f"yours, evenly spread, come {every}: it pays"
    return f"yours, evenly spread, come {every}, too seldom; {needed:,.0f} a day would do"


def too_short_text(load: Load) -> str:
    """A warning for prompts that no provider keeps; empty for longer ones."""
    if load.cacheable_tokens >= LEAST_CACHED:
        return ""
    return f"Most providers keep nothing below {LEAST_CACHED:,} tokens; yours are {load.cacheable_tokens:,}."


def _ordinal(number: int) -> str:
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else _ENDINGS.get(number % 10, 'th')}"


_MONEY: Final = ("request", "day", "month", "uncached_request", "uncached_day", "uncached_month")
_TIMES: Final = ("waiting_s", "writing_s", "response_s")
_TITLES: Final = (
    *("model", "a request", "a day", "30 days", "a request, no cache", "a day, no cache", "30 days, no cache"),
    *("waiting", "writing", "whole reply"),
)


def load_text(load: Load) -> str:
    """The load as a line over its table."""
    wait = UNKNOWN if load.ttft_ms is None else f"{load.ttft_ms:,.0f} ms"
    speed = UNKNOWN if load.tokens_per_second is None else f"{load.tokens_per_second:,.1f}"
    return (
        f"{load.requests_per_day:,.0f} requests a day, {load.prompt_tokens:,} in ({load.cached_share:.0%} cached), "
        f"{load.completion_tokens:,} out, TTFT {wait}, {speed} tokens/s"
    )


def as_markdown(rows: Sequence[Estimate], load: Load) -> str:
    """A table for a text, under the load it is for."""
    lines = [list(_TITLES), ["---", *["---:"] * (len(_TITLES) - 1)]]
    for row in rows:
        cells = [money(getattr(row, name)) for name in _MONEY] + [seconds(getattr(row, name)) for name in _TIMES]
        lines.append([in_markdown(display_line(row.model)), *cells])
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{load_text(load)}:\n\n{table}"


def as_csv(rows: Sequence[Estimate], load: Load) -> str:
    """A table for a program: bare numbers in US dollars and seconds, nothing where nobody knows, and the load."""
    import csv  # with all that is behind it, for a key that is seldom pressed
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    given = ("requests_per_day", "prompt_tokens", "cached_share", "completion_tokens")
    writer.writerow(["model", *_MONEY, *_TIMES, *given])
    for row in rows:
        figures = [getattr(row, name) for name in (*_MONEY, *_TIMES)]
        known = ["" if figure is None else figure for figure in figures]
        writer.writerow([in_sheet(row.model), *known, *(getattr(load, name) for name in given)])
    return out.getvalue()
