"""Setting up a preset race: which presets run against each other, and from which seed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar, Final, NamedTuple

from rich.segment import Segment
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Input, SelectionList, Static
from textual.widgets._toggle_button import ToggleButton
from textual.widgets.selection_list import Selection

from playground.domain.display import display_text
from playground.domain.errors import PlaygroundError
from playground.domain.params import parse_assignment
from playground.domain.sampling import SamplingParams, active_stages
from playground.services.presets import Preset
from playground.widgets.pane_layout import MOST_PANES

FIRST_SEED: Final = 42
_ROUNDING: Final = "Temperature 0: batches round otherwise in a race than alone, so near ties may tip."


class Race(NamedTuple):
    """What was chosen."""

    presets: tuple[Preset, ...]
    seed: int | None
    """The seed of every pane; None gives each its own, and then differences prove nothing."""


class Choices(SelectionList[int]):
    """A list of things to choose from in which the unchosen look it without colours as well."""

    DEFAULT_CSS = """
    Choices {
        &, &:focus {
            height: auto; max-height: 14; border: none; background: $surface; padding: 0; margin: 1 0;
            text-wrap: nowrap; text-overflow: ellipsis;
        }
        & > .selection-list--button { color: $surface; background: $surface; }
        & > .selection-list--button-highlighted {
            color: $block-cursor-background; background: $block-cursor-background;
        }
        & > .selection-list--button-selected { color: $success; background: $surface; }
    }
    """

    def render_line(self, y: int) -> Strip:
        """One row; Textual draws the same sign into every box and tells them apart by its colour."""
        strip = super().render_line(y)
        row = self.scroll_offset.y + y
        chosen = row < self.option_count and self.get_option_at_index(row).value in self.selected
        segments = [
            Segment("✓" if chosen else " ", part.style) if part.text == ToggleButton.BUTTON_INNER else part
            for part in strip
        ]
        return Strip(segments, strip.cell_length)


class RaceDialog(ModalScreen[Race | None]):
    """Two to six presets and one seed; each preset gets a pane with the active pane's model."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,f10", "accept", "Race", id="race.accept", tooltip="Open a pane for each chosen preset"),
        Binding("escape", "leave", "Leave", id="race.leave", tooltip="Leave the panes as they are"),
    ]
    DEFAULT_CSS = """
    RaceDialog {
        align: center middle;
        & > Vertical {
            width: 80%; max-width: 84; height: auto; max-height: 90%;
            border: round $border; background: $surface; padding: 0 1;
        }
        & Input, & Input:focus { height: 1; border: none; background: $panel; }
        & .dialog--help { color: $text-muted; }
        & #race-rounding { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        & .dialog--reason { color: $error; }
    }
    """

    def __init__(self, presets: Sequence[Preset], chosen: Collection[str], seed: int | None) -> None:
        super().__init__()
        self._presets = list(presets)
        self._chosen = chosen
        self._seed = FIRST_SEED if seed is None else seed

    def compose(self) -> ComposeResult:
        """The presets over the seed."""
        help_text = (
            "Each preset gets a pane of its own: same model, same prompt, same seed. The prompt is computed once for "
            "all of them, and the first token at which they part is marked. Space chooses."
        )
        with Vertical() as box:
            box.border_title = Content("Preset race")
            box.border_subtitle = Content("ctrl+s begins · esc leaves everything as it was")
            yield Static(Content(help_text), classes="dialog--help", markup=False)
            yield Choices(
                *(
                    Selection(self._line(preset), number, preset.name in self._chosen)
                    for number, preset in enumerate(self._presets)
                )
            )
            yield Static("", id="race-rounding", classes="dialog--help", markup=False)
            yield Static("Seed for all of them (empty: another one for each)", classes="dialog--help", markup=False)
            yield Input(str(self._seed), id="race-seed")
            yield Static("", classes="dialog--reason", markup=False)

    @on(SelectionList.SelectedChanged)
    def _show_rounding(self) -> None:
        """What to know where a preset among them is to give the same reply every time."""
        exact = any("greedy" in active_stages(self._presets[at].params) for at in self.query_one(Choices).selected)
        self.query_one("#race-rounding", Static).update(_ROUNDING if exact else "")

    def _line(self, preset: Preset) -> Content:
        name = Content.styled(display_text(preset.name).ljust(16), "bold")
        return Content.assemble(name, Content(display_text(preset.summary)))

    def on_mount(self) -> None:
        """Begin in the list."""
        self.query_one(Choices).focus()
        self._show_rounding()

    @on(Input.Submitted)
    def action_accept(self) -> None:
        """Begin, unless there are too few or too many presets, or the seed is none."""
        numbers = sorted(self.query_one(Choices).selected)
        if not 2 <= len(numbers) <= MOST_PANES:
            self._refuse(f"Choose 2 to {MOST_PANES} presets; these are {len(numbers)}.")
            return
        try:
            seed = parse_assignment(SamplingParams(), f"seed={self.query_one(Input).value}").seed
        except PlaygroundError as error:
            self._refuse(str(error))
            return
        self.dismiss(Race(tuple(self._presets[number] for number in numbers), seed))

    def _refuse(self, reason: str) -> None:
        self.query_one(".dialog--reason", Static).update(Content(display_text(reason)))

    def action_leave(self) -> None:
        """Leave everything as it was."""
        self.dismiss(None)
