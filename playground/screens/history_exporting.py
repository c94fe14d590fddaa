"""The conversation of a reply as a file, whose name says what it is to be."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from playground.domain.display import display_text
from playground.domain.errors import BadInput, PlaygroundError
from playground.screens.text_dialog import TextDialog
from playground.services.paths import path_from

if TYPE_CHECKING:
    from pathlib import Path

    from playground.domain.history import Entry
    from playground.screens.history_browser import HistoryBrowser

_HELP: Final = "The ending says what it is: .md to be read, .html in colours with candidates, .jsonl with everything."


def export(screen: HistoryBrowser) -> None:
    """Ask for a file, and write the conversation under the cursor to it."""
    entry = screen.rows.entry
    if entry is None:
        return

    def named(name: str | None) -> None:
        if name is not None:
            screen.later(partial(_write, screen, entry, name.strip()), "export")

    screen.app.push_screen(TextDialog("Export to", f"reply-{entry.id}.md", _HELP, _check, single=True), named)


def _check(name: str) -> None:
    """Raises BadInput for what is no name of a new file, or does not say which form is wanted."""
    from playground.services.exporting import form_of
    from playground.services.kept_files import check_folder

    form_of(name.strip())
    path = path_from(name.strip())
    if path.exists():
        raise BadInput("There is a file of that name already.", "Give another name.")
    check_folder(path)


async def _write(screen: HistoryBrowser, entry: Entry, name: str) -> None:
    from playground.screens.page_colours import page_look
    from playground.services.exporting import export_text, form_of
    from playground.services.kept_files import write_named

    theme = screen.app.theme

    def write() -> Path:
        path = path_from(name).absolute()
        text = export_text(screen.keeping.file().path, [entry.id], form_of(name), lambda: page_look(theme))
        write_named(path, text)
        return path

    try:
        await screen.keeping.keep()
        path = await asyncio.to_thread(write)
    except PlaygroundError as error:
        screen.tell(error)
    else:
        screen.notify(display_text(str(path)), title="Written to", timeout=6, markup=False)
