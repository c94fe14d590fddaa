"""What `llm-playground history` prints: lists, one reply, sums."""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from playground.domain.counts import count_of
from playground.domain.display import display_line, display_text
from playground.domain.errors import BadInput
from playground.domain.history import Entry
from playground.domain.messages import Role
from playground.domain.moments import moment_text
from playground.services.history_export import Branch, facts, remarks
from playground.services.history_reader import Spending
from playground.services.json_events import params_dict

_ON_A_PIPE: Final = 160
"""Columns of a list that nobody looks at."""
_NARROWEST: Final = 20


def lines_of(entries: Sequence[Entry]) -> Iterator[str]:
    """A line for each reply, as wide as the terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _ON_A_PIPE
    digits = max((len(str(entry.id)) for entry in entries), default=1)
    names = max((len(_model(entry)) for entry in entries), default=1)
    for entry in entries:
        began = f"{moment_text(entry.began_at, '%Y-%m-%d %H:%M'):<16}"
        cost = "–" if entry.cost is None else "free" if entry.cost == 0 else f"${entry.cost:.4f}"
        star = "*" if entry.starred else " "
        start = (
            f"{entry.id:>{digits}}{star} {began}  {display_line(entry.origin):<7}  {_model(entry):<{names}}  "
            f"{entry.tokens:>6} {'token ' if entry.tokens == 1 else 'tokens'}  {cost:>8}  "
        )
        cut = f" and {entry.cut_short:,} cut short" if entry.cut_short else ""
        note = f"{count_of(entry.whole, 'reply', 'replies')}{cut}" if entry.more else entry.label
        title = f"{entry.title} ({note})" if note else entry.title
        said = f"{title}: {entry.prompt}" if title else entry.prompt
        said += f" → {entry.reply}" if entry.reply and not entry.more else ""
        yield (start + display_line(said)[: max(_NARROWEST, width - len(start))]).rstrip()


def _model(entry: Entry) -> str:
    name = display_line(entry.model) or "–"
    return name if len(name) <= 28 else f"{name[:27]}…"


def shown(branch: Branch) -> Iterator[str]:
    """One reply: its figures and parameters, what was asked, and what came."""
    entry = branch.entry
    flags = [name for name, on in (("starred", entry.starred), ("deleted", entry.deleted)) if on]
    told = f" ({', '.join(flags)})" if flags else ""
    yield f"{entry.id}: {display_line(entry.title) or 'a reply'}{told}"
    for name, value in facts(branch):
        yield f"  {name}: {display_line(value)}"
    if branch.system:
        yield from ("", "--- system", display_text(branch.system))
    for turn in branch.turns:
        speaker = display_line(turn.model) or "model"
        yield from ("", f"--- {'you' if turn.role is Role.USER else speaker}")
        if turn.thinking:
            yield f"(thinking) {display_text(turn.thinking)}"
        yield display_text(turn.content)
        if turn.role is Role.ASSISTANT:
            yield from (f"  [{display_line(line)}]" for line in remarks(turn))


def shown_json(branch: Branch) -> dict[str, Any]:
    """The same as one object. Tokens are not in it: an export has them."""
    reply, entry = branch.reply, branch.entry
    return {
        **msgspec.to_builtins(entry),
        "prompt": msgspec.to_builtins(reply.prompt),
        "text": reply.content,
        "thinking": reply.thinking,
        "params": params_dict(reply.params) if reply.params is not None else None,
        "seed": reply.started.seed if reply.started is not None else None,
        "changes": [
            {"index": mark.at, "text": mark.text, "params": params_dict(mark.params) if mark.params else None}
            for mark in reply.marks
        ],
        "finished": msgspec.to_builtins(reply.finished),
        "problem": msgspec.to_builtins(reply.problem),
        "notes": reply.notes,
        "setting": {name: value for name, value in msgspec.to_builtins(branch.setting).items() if name != "prompt_ids"},
        "conversation": [{"role": str(turn.role), "text": turn.content} for turn in branch.turns],
    }


def cost_lines(spent: Sequence[Spending]) -> Iterator[str]:
    """A table of days and models with a sum under each day and under all."""
    if not spent:
        yield "Nothing was spent."
        return
    width = max(len(display_line(one.model)) for one in spent)
    for day, rows in itertools.groupby(spent, key=lambda one: one.day):
        models = list(rows)
        for one in models:
            yield f"{day}  {display_line(one.model):<{width}}  {_sums([one])}"
        if len(models) > 1:
            yield f"{day}  {'all models':<{width}}  {_sums(models)}"
    yield f"{'in all':<10}  {'':<{width}}  {_sums(spent)}"


def _sums(rows: Sequence[Spending]) -> str:
    replies, tokens = sum(one.replies for one in rows), sum(one.tokens for one in rows)
    cost, unknown = sum(one.cost for one in rows), sum(one.unknown for one in rows)
    known = "–" if unknown == replies else f"${cost:.4f}"
    more = f" and {unknown} of unknown cost" if 0 < unknown < replies else ""
    return f"{replies:>6} {'reply  ' if replies == 1 else 'replies'}  {tokens:>9,} tokens  {known:>10}{more}"


def moment(text: str, *, end: bool = False) -> datetime:
    """A date, a date with a time, or days ago; `end` means the end of a day where there is no time."""
    try:
        if text.endswith("d") and text[:-1].isdigit():
            return datetime.now().astimezone() - timedelta(days=int(text[:-1]))
        moment = datetime.fromisoformat(text).astimezone()
        whole_day = end and len(text) <= len("2026-01-31")
        return moment + timedelta(days=1) if whole_day else moment
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{text[:40]!r} is no date.", "Write it as 2026-01-31, 2026-01-31T18:00, or 7d.") from error
