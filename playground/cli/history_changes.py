"""What `llm-playground history` does to the file: reads it, changes replies in it, and says what was changed."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from playground.cli.run_output import say, write_json
from playground.domain.display import display_line
from playground.domain.errors import BadInput

if TYPE_CHECKING:
    from playground.domain.history import Entry
    from playground.services.history_reader import HistoryReader
    from playground.services.history_store import HistoryStore

T = TypeVar("T")


class Amount(click.FloatRange):
    """A number from 0 on, which "nan" and "inf" are not."""

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click. Raises BadInput for what is no amount."""
        amount = float(super().convert(value, param, ctx))
        if not math.isfinite(amount):
            raise BadInput(f"{value} is no amount.", "Write a number from 0 on.")
        return amount


def read(work: Callable[[HistoryReader], T]) -> T:
    """Look something up in the history. Raises HistoryUnusable."""
    from playground.services.history import history_path, read_history

    return read_history(history_path(), work)


def write(work: Callable[[HistoryStore], T]) -> T:
    """Change something in it. Raises HistoryUnusable."""
    import uuid

    from playground.services.history import history_path
    from playground.services.history_store import HistoryStore

    store = HistoryStore(history_path(), uuid.uuid4().hex)
    try:
        return work(store)
    finally:
        store.close()


def each(numbers: Sequence[int], work: Callable[[HistoryStore, Entry], None], done: str, *, as_json: bool) -> None:
    """Change replies by their numbers, and say so. Raises BadInput for one that is not there: nothing is changed.

    Args:
        numbers: Those of the replies.
        work: Changes one.
        done: What has become of them then, in a word.
        as_json: Say it as {DONE: NUMBERS}.
    """
    entries = _entries(numbers)

    def change(store: HistoryStore) -> None:
        for entry in entries:
            work(store, entry)

    write(change)
    if as_json:
        write_json({done: [entry.id for entry in entries]})
    else:
        click.echo(f"{done} {' '.join(str(entry.id) for entry in entries)}")


def set_deleted(numbers: Sequence[int], deleted: bool, *, sweep: bool, as_json: bool) -> None:
    """Delete replies or put them back, and say how many of a sweep that were. Raises BadInput as `each` does.

    Args:
        numbers: Those of the replies.
        deleted: False puts them back.
        sweep: Of replies of a sweep, all that it has.
        as_json: Say it as JSON: the numbers of all that were changed.
    """
    verb = "delete" if deleted else "undelete"
    entries = _entries(numbers)
    named = Counter(entry.batch for entry in entries if entry.batch and entry.deleted != deleted)
    there = read(lambda reader: {batch: reader.ids_of_sweep(batch, deleted=not deleted) for batch in named})
    if not sweep:
        each(numbers, lambda store, entry: store.set_deleted(entry.id, deleted), f"{verb}d", as_json=as_json)
        for batch, count in named.items():
            if len(there[batch]) > count:
                of = f"{count:,} of the {len(there[batch]):,} {'' if deleted else 'deleted '}replies of sweep"
                say(f"{verb}d {of} {display_line(batch)}; --sweep {verb}s all of them")
        return
    alone = [entry.id for entry in entries if not entry.batch]
    runs = [*alone, *(run for ids in there.values() for run in ids)]
    write(lambda store: store.set_all_deleted(runs, deleted))
    if as_json:
        write_json({f"{verb}d": runs})
        return
    if alone:
        click.echo(f"{verb}d {' '.join(map(str, alone))}")
    for batch, ids in there.items():
        many = f"{len(ids):,} {'reply' if len(ids) == 1 else 'replies'}"
        click.echo(f"{verb}d {many} of sweep {display_line(batch)}")
    if not runs:
        click.echo(f"0 {verb}d")


def _entries(numbers: Sequence[int]) -> list[Entry]:
    return read(lambda reader: [reader.entry(number) for number in dict.fromkeys(numbers)])


def ask(question: str, yes: bool) -> None:
    """Go on only if a person says so. Raises BadInput where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput(question, "Nobody is here to answer: --yes does.")
    click.confirm(question, abort=True, err=True)
