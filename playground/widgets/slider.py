"""One row to set one parameter: label, bar, value. Keys, mouse, or an exact number typed in."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual import events, on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from playground.domain.param_specs import ParamSpec
from playground.widgets.bars import fit, span
from playground.widgets.explained import Explained
from playground.widgets.slider_scale import Number, SliderScale

VALUE_WIDTH = 7
MIN_BAR = 4
MAX_LABEL = 19
ENTRY_LIMIT = 12


def columns(width: int) -> tuple[int, int]:
    """Cells of the label (with its mark) and of the bar in a row of `width` cells."""
    spare = max(0, width - VALUE_WIDTH - MIN_BAR)
    label = min(MAX_LABEL, max(min(12, spare), 12 + (spare - 12) * 4 // 5))
    return label, max(1, width - VALUE_WIDTH - label)


class ParamSlider(Explained, can_focus=True):
    """A slider for one numeric parameter of `playground.domain.param_specs`.

    Its `Widget.name` is the parameter's name. A dot before the label marks a value that differs from the default.
    Where the parameter is not available, a dashed line stands in place of the bar.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "Less", show=False, id="slider.less", tooltip="One step less"),
        Binding("right,l", "step(1)", "More", show=False, id="slider.more", tooltip="One step more"),
        Binding(
            "shift+left,pagedown", "step(-10)", "Much less", show=False, id="slider.much_less", tooltip="Ten steps less"
        ),
        Binding(
            "shift+right,pageup", "step(10)", "Much more", show=False, id="slider.much_more", tooltip="Ten steps more"
        ),
        Binding("home", "go(0)", "Lowest", show=False, id="slider.lowest", tooltip="The lowest value"),
        Binding("end", "go(1)", "Highest", show=False, id="slider.highest", tooltip="The highest value"),
        Binding("r,backspace", "reset", "Reset", show=False, id="slider.reset", tooltip="Back to the preset's value"),
    ]
    ALLOW_SELECT = False
    RESTYLE = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "slider--fill",
        "slider--track",
        "slider--value",
        "slider--off",
        "slider--idle",
        "slider--unavailable",
        "slider--mark",
        "slider--invalid",
    }
    DEFAULT_CSS = """
    ParamSlider {
        height: 1;
        width: 1fr;
        pointer: pointer;
        & > .slider--fill { color: $primary; }
        & > .slider--track { color: $foreground 12%; }
        & > .slider--value { text-style: bold; }
        & > .slider--off { color: $text-muted; }
        & > .slider--idle { color: $foreground 22%; }
        & > .slider--unavailable { color: $foreground 50%; }
        & > .slider--mark { color: $accent; text-style: bold; }
        & > .slider--invalid { color: $error; text-style: bold; }
        &:hover { background: $foreground 4%; }
        &:focus {
            background: $foreground 9%;
            & > .slider--fill { color: $accent; }
        }
    }
    """

    value: reactive[Number] = reactive[Number](0.0, init=False)
    """The parameter's value, in the unit and range of its spec."""
    entry: reactive[str] = reactive("")
    """What has been typed so far; empty when nothing is being typed."""
    invalid: reactive[bool] = reactive(False)
    """True while the entry on display was refused."""

    class Changed(Message):
        """The person set another value."""

        def __init__(self, slider: ParamSlider, value: Number, final: bool) -> None:
            super().__init__()
            self.slider = slider
            self.name = slider.spec.name
            self.value = value
            self.final = final
            """False while the mouse still drags; a final message always follows."""

        @property
        def control(self) -> ParamSlider:
            """The slider."""
            return self.slider

    class Rejected(Message):
        """A typed value cannot be taken; the entry stays open."""

        def __init__(self, slider: ParamSlider, reason: str) -> None:
            super().__init__()
            self.slider = slider
            self.name = slider.spec.name
            self.reason = reason

        @property
        def control(self) -> ParamSlider:
            """The slider."""
            return self.slider

    def __init__(
        self, spec: ParamSpec, value: Number, default: Number, *, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(name=spec.name, id=id, classes=classes)
        self.spec = spec
        self.scale = SliderScale(spec)
        self._default = default
        self._dragging = False
        self._dragged = False
        """True once a drag has changed the value, even if it came back to where it began."""
        self.set_reactive(ParamSlider.value, self.scale.clamp(value))
        self._refresh_tooltip()

    def explanation(self) -> str:
        """What the parameter does, its range and its default."""
        spec, default = self.spec, self.scale.text(self._default)
        return f"{spec.label}: {spec.help}\n{self.scale.range_text}\nDefault here: {default}"

    # What the panel tells the slider

    def set_value(self, value: Number) -> None:
        """Show another value (clamped to the range) without a message; a drag or an entry in progress goes on."""
        if not self._dragging:
            self.value = self.scale.clamp(value)

    def set_default(self, default: Number) -> None:
        """Set the value that `r` and a double click go back to."""
        if default != self._default:
            self._default = default
            self.refresh()
            self._refresh_tooltip()

    def set_unavailable(self, reason: str) -> None:
        """As every row; what was being typed or dragged is left."""
        super().set_unavailable(reason)
        if self.reason:
            self.on_blur()
            self.on_mouse_up()

    # Painting

    def render_line(self, y: int) -> Strip:
        """The only row."""
        base = self.rich_style
        label, width = columns(self.size.width)
        off = self.value == self.spec.off
        if self.entry:
            shown, style = self.entry[-(VALUE_WIDTH - 2) :] + "▏", "slider--invalid" if self.invalid else "slider--mark"
        else:
            shown, style = self.scale.text(self.value), "slider--off" if off else "slider--value"
        mark, text, value = self.get_component_rich_style("slider--mark"), base, self.get_component_rich_style(style)
        if self.reason:
            mark = text = value = self.get_component_rich_style("slider--unavailable")
        segments = [
            Segment("•" if self.value != self._default else " ", mark),
            Segment(fit(self.spec.label, label - 1), text),
            *self._bar(width, off),
            Segment(fit(shown.rjust(VALUE_WIDTH), VALUE_WIDTH), value),
        ]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _bar(self, width: int, off: bool) -> list[Segment]:
        idle = self.get_component_rich_style("slider--idle")
        if self.reason:
            return [Segment("╌" * width, idle)]
        fill = idle if off else self.get_component_rich_style("slider--fill")
        track = self.get_component_rich_style("slider--track")
        return span(self.scale.origin, self.scale.position(self.value), width, fill, track)

    # Keys

    def _choose(self, value: Number, final: bool = True) -> None:
        if value != self.value and not self.reason:
            self.value = value
            self._dragged = not final
            self.post_message(self.Changed(self, value, final))

    def action_step(self, count: int) -> None:
        """Go `count` steps up or down."""
        self._choose(self.scale.step(self.value, count))

    def action_go(self, position: float) -> None:
        """Go to a place on the bar, 0 to 1."""
        self._choose(self.scale.at(position))

    def action_reset(self) -> None:
        """Go back to the default."""
        self._choose(self.scale.clamp(self._default))

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Digits belong to the slider while it has the focus."""
        return not self.reason and character is not None and character in "0123456789.,-"

    def on_key(self, event: events.Key) -> None:
        """Collect an exact number; while one is typed, letters do nothing else."""
        character = event.character or ""
        if self.reason:
            return
        if character and character in "0123456789.,-":
            self.entry = (self.entry + character.replace(",", "."))[:ENTRY_LIMIT]
            self.invalid = False
        elif not self.entry:
            return
        elif event.key == "backspace":
            self.entry = self.entry[:-1]
            self.invalid = False
        elif event.key == "enter":
            self._take_entry()
        elif event.key == "escape":
            self.on_blur()
        elif not event.is_printable:
            return
        event.stop()
        event.prevent_default()

    def _take_entry(self) -> None:
        value = self.scale.parse(self.entry)
        if isinstance(value, str):
            self.invalid = True
            self.post_message(self.Rejected(self, value))
            return
        self.entry = ""
        self._choose(value)

    def on_blur(self) -> None:
        """An entry that was not confirmed is forgotten."""
        self.entry = ""
        self.invalid = False

    # Mouse

    def _point(self, x: int) -> None:
        label, width = columns(self.size.width)
        self._choose(self.scale.nice(self.scale.at((x - label) / max(1, width - 1))), final=False)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Jump to the place under the mouse and start to drag."""
        label, width = columns(self.size.width)
        if not self.reason and event.button == 1 and label <= event.x < label + width:
            self._dragging = True
            self.capture_mouse()
            self._point(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Follow the mouse."""
        if self._dragging:
            self._point(event.x)

    def on_mouse_up(self) -> None:
        """Let go."""
        if self._dragging:
            self._dragging = False
            self.release_mouse()
            if self._dragged:
                self._dragged = False
                self.post_message(self.Changed(self, self.value, True))

    def on_click(self, event: events.Click) -> None:
        """A double click goes back to the default."""
        if event.chain == 2:
            self.action_reset()

    @on(events.MouseScrollUp)
    @on(events.MouseScrollDown)
    def _turn(self, event: events.MouseScrollUp | events.MouseScrollDown) -> None:
        """One step a notch; without the focus the wheel belongs to the panel."""
        if self.has_focus and not self.reason:
            event.stop()
            event.prevent_default()
            self.action_step(1 if isinstance(event, events.MouseScrollUp) else -1)
