"""What became of a preset of another program: all of it, however long the list is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from playground.domain.display import display_line
from playground.services.preset_import import Imported


class PresetReport(ModalScreen[None]):
    """What was taken over, what the other program has by itself, and every key that was left out with the reason."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter", "leave", "Close", id="report.leave", tooltip="Back to the presets"),
    ]
    DEFAULT_CSS = """
    PresetReport {
        align: center middle;
        & > Vertical {
            width: 90%; max-width: 100; height: auto; max-height: 90%;
            border: round $border; background: $surface; padding: 0 1;
        }
        & VerticalScroll { height: auto; max-height: 100%; scrollbar-size-vertical: 1; }
        & Static { height: auto; }
    }
    """

    def __init__(self, found: Sequence[Imported]) -> None:
        super().__init__()
        self._found = found

    def compose(self) -> ComposeResult:
        """A block for each preset of the file."""
        with Vertical() as box:
            box.border_title = Content("Imported")
            box.border_subtitle = Content("↑ ↓ PgUp PgDn scroll · esc closes")
            with VerticalScroll():
                yield Static(Content("\n").join(line for one in self._found for line in _lines(one)), markup=False)

    def on_mount(self) -> None:
        """The arrow keys scroll."""
        self.query_one(VerticalScroll).focus()

    def action_leave(self) -> None:
        """Back to the presets."""
        self.dismiss(None)


def _lines(one: Imported) -> list[Content]:
    count = len(set(one.preset.sampling) - set(one.defaults))
    many = "1 parameter" if count == 1 else f"{count} parameters"
    lines = [Content.styled(f"{display_line(one.preset.name)}: {many}, from {one.format}", "bold")]
    if one.remark:
        lines.append(Content(one.remark))
    for key, why in one.left_out.items():
        name = Content.styled(display_line(key), "$accent")
        lines.append(Content.assemble("left out ", name, Content(f": {display_line(why)}")))
    return [*lines, Content("")]
