"""The exact prompt a model gets: every token, special ones by name, with ids and the split of the context."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from playground.domain.display import display_text, visible_piece
from playground.domain.messages import PromptView
from playground.domain.tokens import TextDecoder
from playground.theming import token_palette
from playground.widgets.colour_scale import LEVELS, TokenStyle
from playground.widgets.token_list import Row, TokenList
from playground.widgets.token_view import Item, TokenMessage, TokenView

_EVEN, _ODD = LEVELS - 1, LEVELS - 8
"""Two neighbouring shades of the scale, so that one sees where tokens begin."""


class PromptScreen(ModalScreen[None]):
    """Shows a prompt as the model gets it. Arrow keys and mouse go from token to token."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f8,q", "leave", "Close", id="prompt_view.leave", tooltip="Back to the conversation"),
    ]
    DEFAULT_CSS = """
    PromptScreen {
        align: center middle;
        & > Vertical { width: 90%; height: 85%; border: round $border; background: $surface; padding: 0 1; }
        & Horizontal { height: 1fr; margin: 1 0; }
        & TokenView { width: 1fr; height: 1fr; }
        & TokenList { width: 40; height: 1fr; margin: 0 0 0 1; }
        &.-narrow TokenList { display: none; }
        & .prompt-view--counts { color: $text-muted; }
        & .prompt-view--note { color: $warning; }
        & #prompt-view-token { text-style: bold; }
    }
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal")]  # noqa: RUF012 - Textual's interface

    def __init__(self, view: PromptView, n_ctx: int | None) -> None:
        super().__init__()
        self._view = view
        self._n_ctx = n_ctx

    def compose(self) -> ComposeResult:
        """Counts, tokens, and the token under the cursor."""
        with Vertical() as box:
            box.border_title = Content("The prompt, exactly as the model gets it")
            box.border_subtitle = Content("arrows walk · esc closes")
            yield Static(Content(self._counts()), classes="prompt-view--counts", markup=False)
            if self._view.note:
                yield Static(Content(display_text(self._view.note)), classes="prompt-view--note", markup=False)
            with Horizontal():
                yield TokenView(id="prompt-view-tokens")
                yield TokenList(list(map(Row, self._view.ids, self._view.pieces, self._view.special)))
            yield Static("", id="prompt-view-token", markup=False)

    def _counts(self) -> str:
        parts = self._view.parts
        of = f" of {self._n_ctx:,}" if self._n_ctx else ""
        return (
            f"{parts.total:,}{of} tokens: system {parts.system:,} · history {parts.history:,} · "
            f"message and template {parts.prompt:,}"
        )

    def on_mount(self) -> None:
        """Fill in the tokens and go to the last one."""
        view = self.query_one(TokenView)
        view.set_palette(token_palette(self.app.theme_variables))
        view.extend(self._items())
        view.focus()
        self.call_after_refresh(view.move_to, len(self._view.ids) - 1)

    def _items(self) -> Iterator[Item]:
        decoder = TextDecoder()
        for index, (piece, special) in enumerate(zip(self._view.pieces, self._view.special, strict=True)):
            if special:
                yield Item(decoder.finish() + piece.decode("utf-8", "replace"), TokenStyle.SPECIAL, index)
            else:
                yield Item(decoder.feed(piece), _ODD if index % 2 else _EVEN, index)

    @on(TokenList.Selected)
    def _row_selected(self, event: TokenList.Selected) -> None:
        self.query_one(TokenView).move_to(event.index)

    @on(TokenView.Selected)
    @on(TokenView.Hovered)
    def _token(self, event: TokenMessage) -> None:
        index = event.ref
        if isinstance(index, int):
            kind = " · special" if self._view.special[index] else ""
            text = f"token {index + 1:,} · id {self._view.ids[index]} · {visible_piece(self._view.pieces[index])}{kind}"
            self.query_one("#prompt-view-token", Static).update(Content(text), layout=False)
            self.query_one(TokenList).cursor = index

    def action_leave(self) -> None:
        """Back to the conversation."""
        self.dismiss()
