"""`llm-playground bench`: what seeing everything costs, on this machine."""

from __future__ import annotations

import sys

import click
import msgspec

from playground.cli.status_line import StatusLine
from playground.domain.errors import PlaygroundError


@click.command("bench")
@click.option("--model", "-m", metavar="PATH|NAME", default="", help="GGUF file, or part of the name of one on disk.")
@click.option("--pairs", type=click.IntRange(1, 100), default=5, show_default=True, help="Rounds of each measurement.")
@click.option("--tokens", type=click.IntRange(8, 2000), default=128, show_default=True, help="Tokens a round.")
@click.option(
    "--history", type=click.IntRange(50, 3500), default=2000, show_default=True, help="Tokens before a follow-up turn."
)
@click.option(
    "--streams",
    "-s",
    type=click.IntRange(1, 8),
    multiple=True,
    default=(1, 2, 4),
    show_default=True,
    help="Streams at once; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def bench_command(model: str, pairs: int, tokens: int, history: int, streams: tuple[int, ...], as_json: bool) -> None:
    """Measure the engine against a bare llama.cpp loop, in turn, in one run.

    \b
    Example:
      llm-playground bench --pairs 7
      llm-playground bench --streams 4 --streams 6
    """  # noqa: D301 - \b is click's mark for text that is not to be re-wrapped
    from playground.engine.threads import prepare_threads

    prepare_threads()  # the bare loop runs in this process, under the same conditions as the worker
    from playground.services.benchmark import Plan, Row, run_benchmark
    from playground.services.models import resolve_model
    from playground.services.settings import load_settings

    status = StatusLine()

    def report(what: str) -> None:
        status.show(f"measuring {what} …", at_once=True)

    settings, _ = load_settings()
    try:
        path = str(resolve_model(model or settings.model, settings))
        rows = run_benchmark(Plan(path, settings.load, pairs, tokens, history, streams, report))
    except PlaygroundError as error:
        click.echo(f"llm-playground: {error}", err=True)
        sys.exit(error.exit_status)
    status.clear()
    if as_json:
        for row in rows:
            click.echo(msgspec.json.encode(row).decode())
        return

    def line(row: Row) -> str:
        ratio = f"{row.ratio:6.3f} x {row.against}" if row.ratio is not None else ""
        return f"{row.name:<52} {row.value:9.1f} {row.unit:<9} {ratio}"

    click.echo("\n".join(line(row) for row in rows))
