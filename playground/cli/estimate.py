"""`llm-playground estimate`: cost and waiting time of a load, by model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import click
import msgspec

from playground.cli.run_output import write_json
from playground.cli.tables import print_table
from playground.domain.display import display_line
from playground.domain.errors import BadInput

if TYPE_CHECKING:
    from playground.domain.endpoints import Endpoint
    from playground.domain.loads import Estimate, Load
    from playground.services.prices import PriceTable
    from playground.services.settings import Settings

_MOST_SELLERS: Final = 6


@click.command("estimate")
@click.argument("models", nargs=-1, required=True)
@click.option("--requests", type=float, default=1000, show_default=True, help="Requests a day.")
@click.option("--in", "prompt_tokens", type=int, required=True, help="Tokens of one prompt, the cached part included.")
@click.option("--out", "completion_tokens", type=int, required=True, help="Tokens of one reply.")
@click.option("--cached", type=float, default=0.0, show_default=True, help="Share of the prompt read from the cache.")
@click.option("--ttft-ms", type=float, default=None, help="Time to first token, as measured (see Alt+I, or bench).")
@click.option("--speed", type=float, default=None, help="Tokens per second, as measured.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def estimate_command(
    models: tuple[str, ...],
    requests: float,
    prompt_tokens: int,
    completion_tokens: int,
    cached: float,
    ttft_ms: float | None,
    speed: float | None,
    as_json: bool,
) -> None:
    """Reckon what a load would cost a day and a month, how long one reply takes, and from when on a cache pays.

    A model is ENDPOINT/MODEL, or a file or the name of one on this machine, which costs nothing. Prices are those of
    the settings, else of the table this program brings along; nothing is sent. The same with
    sliders, for all models at once: F12 in the app, "Load and cost".

    \b
    Examples:
      llm-playground estimate anthropic/claude-haiku-4-5 openai/gpt-5-mini --requests 5000 --in 2000 --out 300
      llm-playground estimate anthropic/claude-haiku-4-5 --in 8000 --out 500 --cached 0.9 --ttft-ms 600 --speed 80
    """  # noqa: D301 - \b is click's mark for text that is not to be re-wrapped
    from playground.domain.loads import Load
    from playground.services.endpoints import load_endpoints
    from playground.services.estimates import estimate
    from playground.services.prices import PriceTable
    from playground.services.settings import load_settings

    settings, _ = load_settings()
    prices = PriceTable(settings.prices)
    load = Load(
        requests_per_day=requests,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        cached_share=cached,
        ttft_ms=ttft_ms,
        tokens_per_second=speed,
    )
    endpoints = load_endpoints(settings)
    unplaced = dict(_unplaced(models, endpoints, prices, settings))
    rows = estimate(load, models, endpoints, prices, unplaced=unplaced)
    for said in unplaced.values():
        click.echo(said, err=True)
    if as_json:
        for row in rows:
            write_json(msgspec.to_builtins(row))
    else:
        _tell(rows, load, unplaced, prices)


def _tell(rows: Sequence[Estimate], load: Load, unplaced: Mapping[str, str], prices: PriceTable) -> None:
    """The table, and where its prices are from."""
    _print(rows, load)
    if any(row.request is None and row.model not in unplaced for row in rows):
        click.echo("–: the price is unknown; put it into the settings under [prices].", err=True)
    click.echo(f"Prices: {prices.date}.", err=True)


def _unplaced(
    models: Iterable[str], endpoints: Mapping[str, Endpoint], prices: PriceTable, settings: Settings
) -> Iterator[tuple[str, str]]:
    """Models without an endpoint that are not on this machine, and what is to be said about each.

    Raises BadInput when nobody has one of that name.
    """
    from playground.services.models import resolve_model

    for name in dict.fromkeys(models):
        if not name.startswith("/") and "/" in name and not name.endswith(".gguf"):
            continue  # `estimate` looks up what is before the slash
        try:
            resolve_model(name, settings)
        except BadInput as error:
            sold = [] if name.endswith(".gguf") else prices.sellers(name, endpoints.values())
            if not sold:
                hint = f"{error.hint} A model of a provider is ENDPOINT/MODEL, such as openai/gpt-5-mini."
                raise BadInput(error.message, hint) from error
            shown = ", ".join(sold[:_MOST_SELLERS]) + (", …" if len(sold) > _MOST_SELLERS else "")
            yield name, display_line(f"{name} is not on this machine, and its endpoint is missing. Priced: {shown}.")


def _print(rows: Sequence[Estimate], load: Load) -> None:
    from playground.domain.load_table import kept_text, money, pace_text, pays_text, seconds, too_short_text

    names = [display_line(row.model) for row in rows]
    heads = ("model", *(f"{title:>12}" for title in ("a request", "a day", "30 days", "30d uncached", "whole reply")))
    lines = []
    for name, row in zip(names, rows, strict=True):
        usd = (row.request, row.day, row.month, row.uncached_month)
        lines.append((name, *map(money, usd), seconds(row.response_s)))
    print_table(heads, lines, texts={0: 24}, least=(4, 1))
    for name, row in zip(names, rows, strict=True):
        for one in row.caching:
            said = "; ".join(filter(None, (pays_text(one), pace_text(one, load))))
            click.echo(
                f"{name}, cache kept {kept_text(one.kept)}: writing {money(one.write)}, reading {money(one.read)},"
                f" without {money(one.plain)}; {said}"
            )
    if any(row.caching for row in rows) and too_short_text(load):
        click.echo(too_short_text(load), err=True)
