"""What is to be said about one model under a load: where its time goes, and from when on a prompt cache pays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from textual.content import Content

from playground.domain.display import display_line
from playground.domain.load_table import kept_text, money, pace_text, pays_text, seconds, too_short_text
from playground.domain.loads import PROVIDERS_OWN, Caching, Estimate, Load
from playground.services.experiment_plots import MARKS, Chart, Curve, Piece, draw
from playground.widgets.load_break_even import CURVES

_MOST_REQUESTS: Final = 12
_BESIDE_CURVES: Final = 4
"""Lines of a plot beside its curves: their names, the axis, its numbers, its name."""
_SHORT: Final = {"5m": "5 min", "1h": "1 hour", PROVIDERS_OWN: "cached"}


def words(row: Estimate, load: Load, *, hosted: bool, small_window: int | None = None) -> Content:
    """Sentences about one row.

    Args:
        row: What was reckoned.
        load: What it was reckoned for.
        hosted: False for a model that runs here.
        small_window: Its context window in tokens, if a request does not go into it.
    """
    name = display_line(row.model.rsplit("/", 1)[-1] if not hosted else row.model)
    parts: list[Content] = [Content.styled(name, "bold"), Content(_time(row))]
    if small_window is not None:
        text = f"Its context window has {small_window:,} tokens; prompt and reply are {load.tokens:,}: they do not fit."
        parts.append(Content.styled(text, "$text-warning"))
    if not hosted:
        parts.append(Content("It runs on this machine: it costs no money, only time."))
    elif row.request is None:
        parts.append(Content("Nobody told its price. Put it into the settings under [prices]."))
    elif not row.request and not row.uncached_request:
        parts.append(Content("It costs nothing."))
    elif not load.cacheable_tokens:
        parts.append(Content(f"{load.cached_share:.0%} of so short a prompt is not one token: nothing is kept of it."))
    elif not row.caching:
        parts.append(Content("A token from a cache costs as much as any other here: caching saves time alone."))
    else:
        parts += [_caching(one, load, CURVES[number]) for number, one in enumerate(row.caching, 1)]
        parts += [Content.styled(too_short_text(load), "$text-warning"), _costs(row.caching)]
    return Content("\n").join(part for part in parts if part.plain)


def _time(row: Estimate) -> str:
    if row.waiting_s is None or row.writing_s is None or not row.response_s:
        return ""
    share = row.writing_s / row.response_s
    return f"{seconds(row.waiting_s)} waiting, then {seconds(row.writing_s)} ({share:.0%}) writing"


def _caching(caching: Caching, load: Load, colour: str) -> Content:
    said = "; ".join(filter(None, (pays_text(caching, window=False), pace_text(caching, load))))
    return Content.assemble((f"■ Kept {kept_text(caching.kept)}: ", colour), f"{said}.")


def _costs(found: Sequence[Caching]) -> Content:
    first = found[0]
    writes = ", ".join(f"{money(one.write)} to keep it {kept_text(one.kept)}" for one in found)
    return Content(f"The cached part: {money(first.plain)} without a cache, {money(first.read)} from it, {writes}.")


def plot(row: Estimate) -> Callable[[int, int], Sequence[Sequence[Piece]]] | None:
    """Draws what the cached part costs over requests in a window; None where there is nothing to compare."""
    if not row.caching:
        return None
    chart = _chart(row.caching)

    def lines(width: int, height: int) -> Sequence[Sequence[Piece]]:
        names = [Piece(f"{MARKS[at]} {curve.name}  ", at) for at, curve in enumerate(chart.curves)]
        # In place of the title; the list below the plot would need a line a curve.
        return [names, *draw(chart, width, height - _BESIDE_CURVES)[1:height]]

    return lines


def _chart(found: Sequence[Caching]) -> Chart:
    """In prices of the uncached part, so that its numbers are short and the same whatever the prompt's length."""
    plain = found[0].plain
    last = max((one.pays_from_reads or 0) + 3 for one in found)
    counts = range(1, min(_MOST_REQUESTS, max(5, last)) + 1)
    curves = [Curve("no cache", tuple((float(count), float(count)) for count in counts))]
    curves += [
        Curve(_SHORT[one.kept], tuple((float(count), one.cost(count) / plain) for count in counts)) for one in found
    ]
    return Chart("", "requests → price in prompts", "", tuple(curves))
