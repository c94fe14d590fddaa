"""A text under several tokenizers: the field it is written in, counts and costs, tokens, the one under the cursor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static, TextArea

from playground.domain.display import display_line
from playground.screens.tokenizer_figures import ListedTokens, about_token, count_lines
from playground.services.side_by_side import READING, SideBySide
from playground.services.token_costs import Bill, bills, known_models
from playground.services.token_table import TIKTOKEN, Split, Stretch, aligned, partition
from playground.widgets.key_bar import KeyBar
from playground.widgets.piece_canvas import Group, Row, Spot
from playground.widgets.piece_rows import PieceRows
from playground.widgets.source_area import SourceArea
from playground.widgets.token_list import TokenList
from playground.widgets.tokenizer_counts import counts_table

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen

_QUIET_SECONDS: Final = 0.08
"""Pause in typing after which the tokens are looked at."""
_MOST_SHOWN: Final = 100_000
"""Stretches of the text that are drawn; all of it is counted."""
_TYPED: Final = 4
"""A change of so many characters at the end is typing, and the end stays in sight."""
_KEYS: Final = (
    *("tokenizers.leave", "tokenizers.next", "tokenizers.examples", "tokenizers.special", "tokenizers.fetch"),
    *("tokenizers.add", "tokenizers.reply", "tokenizers.remove", "app.help", "app.quit"),
)
_NO_TEXT: Final = "Type or paste a text. F3 brings examples, one after another; F2 lists them."
_ALONE: Final = "One tokenizer alone differs from nothing: F5 adds another model's, to compare."
_ALONE_WITHOUT: Final = (
    "One tokenizer alone differs from nothing: F6 fetches tiktoken's, F5 adds another model's, to compare."
)


class TokenizersView(Screen[None]):
    """Shows the tokens of a text while it is written. Only vocabularies are read; models on screen are not asked."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - Textual's interface
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]  # noqa: RUF012
    DEFAULT_CSS = """
    TokenizersView {
        layout: vertical; background: $background;
        & #tokenizers-title { height: 1; padding: 0 1; text-style: bold; text-wrap: nowrap; text-overflow: ellipsis; }
        & SourceArea, & SourceArea:focus {
            height: 4; border: none; padding: 0 1; margin: 0 1; background: $panel;
        }
        &.-high SourceArea, &.-high SourceArea:focus { height: 7; }
        & #tokenizers-note { height: auto; max-height: 2; padding: 0 1; color: $text-muted; }
        & #tokenizers-counts { height: auto; max-height: 5; padding: 0 1; scrollbar-size-vertical: 1; }
        &.-high #tokenizers-counts { max-height: 9; margin: 1 0 0 0; }
        & #tokenizers-counts Static { height: auto; }
        & Horizontal { height: 1fr; padding: 0 0 0 1; }
        & PieceRows { width: 1fr; }
        & TokenList { width: 36; margin: 1 0 0 1; display: none; }
        &.-wide TokenList { display: block; }
        & #tokenizers-token { height: 2; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    }
    """

    def __init__(self, main: TokenScreen, text: str) -> None:
        """A text under the local models on screen and tiktoken's vocabularies."""
        super().__init__()
        self._main = main
        self._text = text
        self._windows = _local_models(main)
        """Local models, with their context windows where these are known."""
        self._on_screen = len(self._windows)
        self._missing = False
        """A vocabulary of tiktoken is not on this machine."""
        self._sources = SideBySide(list(self._windows))
        self._splits: Sequence[Split] = ()
        self._shown: Sequence[Split] = ()
        """Those with tokens, in the order of the rows."""
        self._listed: Split | None = None
        self._special = False
        self._told = ""
        """The note."""
        self._noted: str | None = None
        """The text that the note is about; None: about any."""
        self._priced = False
        """The table of prices is read."""
        self._length = len(text)
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """The text, counts, tokens, the token under the cursor."""
        yield Static("Tokenizers side by side", id="tokenizers-title", markup=False)
        yield SourceArea(placeholder="Type or paste a text here")
        yield Static("", id="tokenizers-note", markup=False)
        with VerticalScroll(id="tokenizers-counts", can_focus=False):
            yield Static("", markup=False)
        with Horizontal():
            yield PieceRows()
            yield TokenList(())
        yield Static("", id="tokenizers-token", markup=False)
        yield KeyBar(_KEYS)

    def on_mount(self) -> None:
        """Begin with the text there is."""
        self._take(self._text)
        self.query_one(SourceArea).focus()
        self._look()
        self._read_prices()

    async def on_unmount(self) -> None:
        """Nothing goes on behind the screen."""
        await self._sources.close()

    @work(group="prices")
    async def _read_prices(self) -> None:
        await self._main.accounts.load()
        self._priced = True
        self._show_counts()

    # -- looking -----------------------------------------------------------------------------------------------

    def _take(self, text: str, note: str = "") -> None:
        self.query_one(SourceArea).take(text)
        self._note(note, text)

    def _note(self, note: str, about: str | None = None) -> None:
        self._told, self._noted = note, about
        self.query_one("#tokenizers-note", Static).update(Content(note))

    @on(TextArea.Changed)
    def _changed(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_QUIET_SECONDS, self._look)

    @work(group="split", exclusive=True)
    async def _look(self) -> None:
        area = self.query_one(SourceArea)
        text = area.text.encode(errors="replace").decode()
        typed = 0 < len(text) - self._length <= _TYPED and area.cursor_location == area.document.end
        self._length = len(text)
        if self._noted not in (None, text):
            self._note("")
        if not text:
            self._show(text, ())
            self._note(_NO_TEXT, text)
            await self._sources.split(" ", lambda _: None)  # vocabularies are there when the first key comes
            return
        await self._sources.split(text, lambda splits: self._show(text, splits, follow=typed), special=self._special)

    def _show(self, text: str, splits: Sequence[Split], *, follow: bool = False) -> None:
        self._splits, self._listed = splits, None
        self._missing = any(one.tokenizer in TIKTOKEN and one.problem not in ("", READING) for one in splits)
        self.refresh_bindings()
        beside, alone = partition(splits, text)
        self._shown = [*beside, *alone]
        groups = [Group(range(len(beside)), partial(_parts, beside))] if beside else []
        groups += [Group([row], partial(_parts, [one])) for row, one in enumerate(alone, len(beside))]
        rows = [Row(display_line(one.tokenizer), one.ids, one.pieces, one.special) for one in self._shown]
        pieces = self.query_one(PieceRows)
        pieces.show(rows, groups, follow=follow)
        self._note_alone()
        self._show_counts()
        self._show_token(pieces.cursor)

    def _note_alone(self) -> None:
        """A single tokenizer differs from nothing: say how another one comes, unless there is something else to say."""
        reading = any(split.problem == READING for split in self._splits)
        if len(self._shown) == 1 and not reading:
            if not self._told:
                self._note(_ALONE_WITHOUT if self._missing else _ALONE)
        elif self._told in (_ALONE, _ALONE_WITHOUT):
            self._note("")

    def _show_counts(self) -> None:
        windows = list(self._windows.values())
        splits = [_said(split) for split in self._splits]
        lines = count_lines(splits, windows, self._bills) if splits else []
        body = self.query_one("#tokenizers-counts Static", Static)
        body.update(counts_table(lines, self.size.width - 3) if lines else Content(""))

    def _bills(self, split: Split) -> Sequence[Bill]:
        if not self._priced:
            return ()
        main = self._main
        endpoints = main.pool.endpoints
        cards = [pane.card for pane in main.all_panes if pane.card is not None and not pane.card.local]
        known = known_models(cards, main.settings, endpoints)
        return bills(split.tokenizer, len(split.ids), known, endpoints, main.accounts.prices)

    def on_resize(self) -> None:
        """Another width, other columns."""
        self._show_counts()

    # -- single tokens -----------------------------------------------------------------------------------------

    @on(PieceRows.Pointed)
    def _pointed(self, event: PieceRows.Pointed) -> None:
        self._show_token(event.spot)

    def _show_token(self, spot: Spot | None) -> None:
        shown = self.query_one("#tokenizers-token", Static)
        at = spot or Spot(0, 0)
        split = self._shown[at.row] if at.row < len(self._shown) else None
        self._list(split)
        if split is None or spot is None:
            marks = "‹F0 9F› half a character · tab leads to the tokens" if self._shown else ""
            marks = f"≠ they differ · {marks}" if len(self._shown) > 1 else marks
            shown.update(Content.styled(marks, "$foreground 70%"), layout=False)
            return
        self.query_one(TokenList).cursor = spot.token
        shown.update(about_token(split, spot.token), layout=False)

    def _list(self, split: Split | None) -> None:
        """The tokens of one tokenizer one below the other."""
        if split is self._listed:
            return
        self._listed = split
        self.query_one(TokenList).show(() if split is None else ListedTokens(split))

    @on(TokenList.Selected)
    def _row_selected(self, event: TokenList.Selected) -> None:
        pieces = self.query_one(PieceRows)
        pieces.move_to(Spot(pieces.cursor.row if pieces.cursor is not None else 0, event.index))


def _local_models(main: TokenScreen) -> dict[Path, int | None]:
    """Files of the models in all panes, the active one's first, with the context windows they are loaded with."""
    found: dict[Path, int | None] = {}
    for pane in sorted(main.all_panes, key=lambda pane: pane is not main.pane):
        ref, card = pane.slot.ref, pane.card
        if ref is not None and not ref.endpoint and ref.name:
            window = card.n_ctx if card is not None and card.local else None
            found[Path(ref.name)] = found.get(Path(ref.name)) or window
    return found


def _parts(splits: Sequence[Split]) -> Iterator[Stretch]:
    return islice(aligned(splits), _MOST_SHOWN)


def _said(split: Split) -> Split:
    """With what can be done about a vocabulary that is not there."""
    if split.tokenizer not in TIKTOKEN or not split.problem or split.problem == READING:
        return split
    return Split(
        tokenizer=split.tokenizer,
        text_bytes=split.text_bytes,
        problem="not on this machine; F6 fetches it from the network, once",
    )
