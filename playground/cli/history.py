"""`llm-playground history`: what was said before: found, shown, tidied, exported, and run again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from playground.cli.history_changes import Amount, ask, read, write
from playground.cli.history_tidy import COMMANDS
from playground.cli.options import json_option, replies_argument, reply_argument, yes_option
from playground.cli.run_output import INTERRUPTED, say, write_json
from playground.domain.history import ORIGINS

if TYPE_CHECKING:
    from playground.domain.history import Query
    from playground.services.history_export import Form
    from playground.services.history_html import Look


@click.group("history")
def history_group() -> None:
    """Find, show, tidy, export and repeat what was said before.

    \b
    Examples:
      llm-playground history list "blue sky" --since 2026-01-31
      llm-playground history show 12
      llm-playground history export 12 15 --format html -o page.html
      llm-playground history replay 12
    """  # noqa: D301 - \b is click's mark for text that is not to be re-wrapped


for command in COMMANDS:
    history_group.add_command(command)


@history_group.command("list")
@click.argument("words", nargs=-1)
@click.option("--model", metavar="TEXT", default="", help="Part of the model's name.")
@click.option("--preset", metavar="NAME", default="", help="Only replies written with this preset.")
@click.option("--since", metavar="DATE", default="", help="From this day on, e.g. 2026-01-31, or 7d for a week ago.")
@click.option("--until", metavar="DATE", default="", help="Up to this day, which is included.")
@click.option("--cost", metavar="DOLLARS", type=Amount(), default=None, help="At least this much.")
@click.option(
    "--from",
    "origins",
    type=click.Choice(ORIGINS),
    multiple=True,
    help="Where they were asked for; repeatable. Without it a sweep is one line, with it each of its replies.",
)
@click.option("--starred", is_flag=True, help="Only those with a star.")
@click.option("--deleted", is_flag=True, help="Those that were deleted, and can be undeleted until they are purged.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="How many at most.")
@json_option
def list_command(as_json: bool, **given: Any) -> None:
    """List replies, the newest first; with WORDS those in whose prompt, reply or name they stand.

    The line of a sweep is that of its newest reply, with the tokens and the cost of all of them.

    \b
    Examples:
      llm-playground history list
      llm-playground history list --from sweep "sweep 0f3ab81c2d"
      llm-playground history list lighthouse --model smollm --starred
      llm-playground history list --since 7d --cost 0.01 --json
    """  # noqa: D301
    from playground.cli.history_output import lines_of

    query = _query(**given)
    entries = read(lambda reader: reader.find(query))
    if as_json:
        for entry in entries:
            write_json(msgspec.to_builtins(entry))
        return
    for line in lines_of(entries):
        click.echo(line)
    if len(entries) == query.limit:
        say(f"These are the newest {query.limit}; --limit shows more.")
    elif not entries:
        say("Nothing in the history is like that.")


@history_group.command("show")
@reply_argument
@json_option
def show_command(number: int, as_json: bool) -> None:
    """Show one reply: what was asked, what came, with which parameters, and how fast.

    \b
    Example:
      llm-playground history show 12
    """  # noqa: D301
    from playground.cli.history_output import shown, shown_json
    from playground.services.history_export import find_branch

    branch = read(lambda reader: find_branch(reader, number))
    if as_json:
        write_json(shown_json(branch))
        return
    for line in shown(branch):
        click.echo(line)


@history_group.command("cost")
@json_option
def cost_command(as_json: bool) -> None:
    """Show what was spent, by day and model; deleted replies have cost as well.

    \b
    Examples:
      llm-playground history cost
      llm-playground history cost --json
    """  # noqa: D301
    from playground.cli.history_output import cost_lines

    spent = read(lambda reader: reader.spending())
    if as_json:
        for one in spent:
            write_json(one._asdict())
        return
    for line in cost_lines(spent):
        click.echo(line)


@history_group.command("export")
@replies_argument
@click.option("--format", "form", type=click.Choice(["md", "jsonl", "html"]), default="md", show_default=True)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else it is printed."
)
@json_option
def export_command(numbers: tuple[int, ...], form: Form, output: Path | None, as_json: bool) -> None:
    """Write conversations as Markdown (md), as one page of HTML (html), or with everything in them (jsonl).

    Markdown and HTML have the branch that ends with the reply, JSON Lines have the whole conversation; `history import`
    reads them again.

    \b
    Examples:
      llm-playground history export 12 > talk.md
      llm-playground history export 12 15 --format jsonl -o talks.jsonl
    """  # noqa: D301
    from playground.services.exporting import export_text
    from playground.services.history import history_path
    from playground.services.history_rows import whole_text
    from playground.services.kept_files import write_named

    text = export_text(history_path(), numbers, form, _look)
    told = {"ids": [*dict.fromkeys(numbers)], "format": form}
    if output is not None:
        write_named(output, text)
        if as_json:
            write_json({**told, "path": str(output)})
        return
    if as_json:
        write_json({**told, "text": whole_text(text)})
        return
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()


@history_group.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def import_command(file: Path, as_json: bool) -> None:
    """Take conversations over from a FILE that `history export --format jsonl` wrote, here or elsewhere.

    The file is checked as a whole first. Conversations that are here already stay as they are.

    \b
    Example:
      llm-playground history import talks.jsonl
    """  # noqa: D301
    from playground.services.history_import import import_file

    done = write(lambda store: import_file(file, store))
    if as_json:
        write_json(done._asdict())
        return
    known = f"; {done.known} were here already" if done.known else ""
    click.echo(f"{done.conversations} conversations with {done.replies} replies imported{known}")


@history_group.command("replay")
@reply_argument
@yes_option
@json_option
def replay_command(number: int, yes: bool, as_json: bool) -> None:
    """Run a reply again: same model, prompt, seed and parameters; and say where it differs.

    Exit status 0: the runs are equal. 1: they differ. A hosted model costs money and need not repeat itself, so you
    are asked before (--yes answers).

    \b
    Examples:
      llm-playground history replay 12
      llm-playground history replay 12 --json
    """  # noqa: D301
    from playground.cli.history_replay import replay_number

    try:
        status = replay_number(number, lambda question: ask(question, yes), as_json=as_json)
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)


def _look() -> Look:
    from playground.screens.page_colours import page_look
    from playground.services.settings import load_settings

    return page_look(load_settings()[0].theme)


def _query(*, words: tuple[str, ...], since: str, until: str, cost: float | None, **rest: Any) -> Query:
    from playground.cli.history_output import moment
    from playground.domain.history import Query

    return Query(
        text=" ".join(words),
        since=moment(since).timestamp() if since else None,
        until=moment(until, end=True).timestamp() if until else None,
        least_cost=cost,
        grouped=not rest["origins"],
        **rest,
    )
