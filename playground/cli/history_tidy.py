"""`llm-playground history`, the commands that tidy: stars, names, deleting, bringing back, and removing for good."""

from __future__ import annotations

import time
from typing import Final

import click

from playground.cli.history_changes import Amount, ask, each, read, set_deleted, write
from playground.cli.options import json_option, replies_argument, reply_argument, yes_option
from playground.cli.run_output import write_json


@click.command("star")
@replies_argument
@json_option
def star_command(numbers: tuple[int, ...], as_json: bool) -> None:
    """Put a star on replies.

    \b
    Example:
      llm-playground history star 12 15
    """  # noqa: D301
    each(numbers, lambda store, entry: store.set_starred(entry.id, True), "starred", as_json=as_json)


@click.command("unstar")
@replies_argument
@json_option
def unstar_command(numbers: tuple[int, ...], as_json: bool) -> None:
    """Take the star away.

    \b
    Example:
      llm-playground history unstar 12
    """  # noqa: D301
    each(numbers, lambda store, entry: store.set_starred(entry.id, False), "unstarred", as_json=as_json)


@click.command("rename")
@reply_argument
@click.argument("name")
@json_option
def rename_command(number: int, name: str, as_json: bool) -> None:
    """Give the conversation that a reply belongs to a NAME; an empty one takes it away.

    \b
    Examples:
      llm-playground history rename 12 "blue skies"
      llm-playground history rename 12 ""
    """  # noqa: D301
    from playground.domain.names import check_name

    title = " ".join(name.split())
    check_name(title)
    each([number], lambda store, entry: store.set_title(entry, title), "renamed", as_json=as_json)


@click.command("delete")
@replies_argument
@click.option("--sweep", is_flag=True, help="Of a reply of a sweep, all replies of that sweep.")
@json_option
def delete_command(numbers: tuple[int, ...], sweep: bool, as_json: bool) -> None:
    """Delete replies. They can be undeleted until somebody purges the history.

    The list has one line for a whole sweep: its number is that of one reply, and --sweep deletes all.

    \b
    Examples:
      llm-playground history delete 12 15
      llm-playground history delete 40 --sweep
    """  # noqa: D301
    set_deleted(numbers, True, sweep=sweep, as_json=as_json)


@click.command("undelete")
@replies_argument
@click.option("--sweep", is_flag=True, help="Of a reply of a sweep, all deleted replies of that sweep.")
@json_option
def undelete_command(numbers: tuple[int, ...], sweep: bool, as_json: bool) -> None:
    """Bring deleted replies back.

    \b
    Examples:
      llm-playground history undelete 12
      llm-playground history undelete 40 --sweep
    """  # noqa: D301
    set_deleted(numbers, False, sweep=sweep, as_json=as_json)


@click.command("purge")
@click.option("--older-than", metavar="DAYS", type=Amount(), default=0.0, help="Only older ones.")
@yes_option
@json_option
def purge_command(older_than: float, yes: bool, as_json: bool) -> None:
    """Remove for good what was deleted. What another running llm-playground has on screen stays for now.

    \b
    Examples:
      llm-playground history purge
      llm-playground history purge --older-than 30 --yes
    """  # noqa: D301
    from playground.domain.history import Query
    from playground.services.history import is_alive

    before = time.time() - older_than * 86400
    waiting = read(lambda reader: len(reader.find(Query(deleted=True, until=before, limit=1_000_000))))
    gone = 0
    if waiting:
        ask(f"Remove {waiting} deleted {'reply' if waiting == 1 else 'replies'} for good?", yes)
        gone = write(lambda store: store.purge(before, is_alive))
    if as_json:
        write_json({"purged": gone})
    else:
        click.echo(f"{gone} purged")


COMMANDS: Final = (star_command, unstar_command, rename_command, delete_command, undelete_command, purge_command)
"""All of them, for the group."""
