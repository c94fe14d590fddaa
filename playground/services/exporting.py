"""Conversations of the history as a file: which form, its text, and writing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from playground.domain.errors import BadInput
from playground.services.history import read_history
from playground.services.history_export import Form, find_branches, to_json_lines, to_markdown
from playground.services.toml_files import one_line

if TYPE_CHECKING:
    from playground.services.history_html import Look

ENDINGS: Final[dict[str, Form]] = {".md": "md", ".html": "html", ".htm": "html", ".jsonl": "jsonl"}
"""What the ending of a file's name says."""


def form_of(name: str) -> Form:
    """The form that a file's name asks for. Raises BadInput for an ending that says nothing."""
    form = ENDINGS.get(Path(name).suffix.lower())
    if form is None:
        raise BadInput(
            f"{one_line(Path(name).name or name, 60)} does not say what it is to be.",
            "End it in .md to read it, .html for colours and candidates, .jsonl for everything.",
        )
    return form


def export_text(path: Path, numbers: Sequence[int], form: Form, look: Callable[[], Look]) -> str:
    """The conversations of some replies in a form.

    Args:
        path: The history file.
        numbers: The replies.
        form: "md" and "html" have the branches that end with them, "jsonl" has the whole conversations.
        look: Gives the colours of a page; only asked for one.

    Raises BadInput for a number that is not in the history, and HistoryUnusable.
    """
    branches = read_history(path, lambda reader: find_branches(reader, numbers))
    if form == "md":
        return to_markdown(branches)
    if form == "html":
        from playground.services.history_html import to_html

        return to_html(branches, look())
    trees = {branch.tree.uid: branch.tree for branch in branches}
    entries = read_history(path, lambda reader: {uid: reader.entries_of(uid) for uid in trees})
    return "".join(f"{line}\n" for line in to_json_lines([(tree, entries[uid]) for uid, tree in trees.items()]))
