"""`llm-playground estimate`: cost and waiting time of a load, by model."""

from __future__ import annotations

import click
import msgspec


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

    Prices are those of the settings, else of the table this program brings along; nothing is sent.

    \b
    Examples:
      llm-playground estimate anthropic/claude-haiku-4-5 openai/gpt-5-mini --requests 5000 --in 2000 --out 300
      llm-playground estimate anthropic/claude-haiku-4-5 --in 8000 --out 500 --cached 0.9 --ttft-ms 600 --speed 80
    """  # noqa: D301 - \b is click's mark for text that is not to be re-wrapped
    from playground.services.endpoints import load_endpoints
    from playground.services.estimates import Load, estimate
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
    rows = estimate(load, models, load_endpoints(settings), prices)
    if as_json:
        for row in rows:
            click.echo(msgspec.json.encode(row).decode())
        return
    from playground.domain.prices import usd_text

    def money(usd: float | None) -> str:
        return "–" if usd is None else f"≈{usd_text(usd)}"

    width = max(len("model"), *(len(row.model) for row in rows))
    click.echo(f"{'model':<{width}} {'a request':>12} {'a day':>12} {'30 days':>12} {'whole reply':>12}")
    for row in rows:
        waits = "–" if row.response_s is None else f"{row.response_s:.1f} s"
        click.echo(
            f"{row.model:<{width}} {money(row.request):>12} {money(row.day):>12} {money(row.month):>12} {waits:>12}"
        )
    for row in rows:
        for one in row.caching:
            pays = "never pays" if one.pays_from_reads is None else _reads(one.pays_from_reads)
            if one.pays_from_requests_per_day is not None:
                pays += f", so from {one.pays_from_requests_per_day:,.0f} requests a day, evenly spread"
            click.echo(
                f"{row.model}, cache kept {one.kept}: writing {money(one.write)}, reading {money(one.read)},"
                f" without {money(one.plain)}; {pays}"
            )
    if any(row.request is None for row in rows):
        click.echo("–: the price is unknown; put it into the settings under [prices].", err=True)
    click.echo(f"Prices: {prices.date}.", err=True)


def _reads(reads: int) -> str:
    return f"pays from {'the first read' if reads <= 1 else f'{reads} reads'} on"
