"""The panel of sampling parameters: preset, sliders, order of the stages, seed, stop strings, biases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Label

from playground.domain.param_specs import SPECS, ParamSpec
from playground.domain.sampling import SamplingParams, active_stages
from playground.widgets.order_list import OrderList
from playground.widgets.rows import ActionRow, SeedRow
from playground.widgets.slider import ParamSlider

NEVER_BY_GROUP: Final = ("temperature", "limits")
"""Groups of which one parameter is nearly always on and says nothing about the others."""

PRESET_HELP: Final = "Choose a preset: a named set of sampling parameters. A star says that something was changed."
MORE_HELP: Final = "Show or hide the parameters that are not in use."
ORDER_HELP: Final = (
    "The stages run from top to bottom. Shift+up and shift+down move one, space leaves it out or puts it back.\n"
    "A dim stage is at its off value and does nothing."
)
ROW_HELP: Final = {
    "seed": "The same seed and parameters give the same reply. Empty: a fresh seed each run.",
    "stop": "Strings that end the reply. They are not part of it.",
    "logit_bias": "Tokens made likelier or less likely, or banned.",
    "ignore_eos": "Obeyed: the reply ends where the model ends it. Ignored: it goes on to the length limit.",
}


def reasoned(help_text: str, reason: str | None) -> Content:
    """A tooltip; when there is a reason why its widget is disabled, that too."""
    return Content(help_text if reason is None else f"{help_text}\nNot available: {reason}")


def in_use(spec: ParamSpec, params: SamplingParams) -> bool:
    """True for a parameter one should see: a common one, one that was set, or one whose stage runs."""
    if spec.common or getattr(params, spec.name) != getattr(SamplingParams(), spec.name):
        return True
    if spec.name == "dynatemp_exponent":
        return params.dynatemp_range > 0.0
    running = {name.removesuffix("_v2") for name in active_stages(params)}
    return spec.group not in NEVER_BY_GROUP and spec.group in running


class Controls(VerticalScroll, can_focus=False):
    """All sampling parameters. It shows what it is told and asks for changes; it decides nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "focus_row(-1)", "Row above", show=False, id="controls.up", tooltip="Go to the row above"),
        Binding("down", "focus_row(1)", "Row below", show=False, id="controls.down", tooltip="Go to the row below"),
    ]
    DEFAULT_CSS = """
    Controls {
        width: 32;
        height: 1fr;
        padding: 0 1 0 0;
        scrollbar-size-vertical: 1;
        & > #controls-sliders { height: auto; }
        & > #controls-preset { margin: 0 0 1 0; }
        & > #controls-more { color: $text-muted; }
        & > .controls--heading { height: 1; margin: 1 0 0 0; padding: 0 1; color: $text-muted; }
    }
    """

    class PresetRequested(Message):
        """The person wants to choose a preset."""

        def __init__(self, controls: Controls) -> None:
            super().__init__()
            self.controls = controls

        @property
        def control(self) -> Controls:
            """The panel."""
            return self.controls

    class ParamChanged(Message):
        """The person set a parameter."""

        def __init__(self, controls: Controls, name: str, value: float | int | None, final: bool) -> None:
            super().__init__()
            self.controls = controls
            self.name = name
            """Field of SamplingParams: one of `SPECS`, "seed" (None: random) or "ignore_eos"."""
            self.value = value
            self.final = final
            """False while a slider is being dragged; a final message follows."""

        @property
        def control(self) -> Controls:
            """The panel."""
            return self.controls

    class OrderChanged(Message):
        """The person changed the order of the stages."""

        def __init__(self, controls: Controls, order: tuple[str, ...]) -> None:
            super().__init__()
            self.controls = controls
            self.order = order

        @property
        def control(self) -> Controls:
            """The panel."""
            return self.controls

    class EditRequested(Message):
        """The person wants to edit what does not fit into a row: "stop" or "logit_bias"."""

        def __init__(self, controls: Controls, name: str) -> None:
            super().__init__()
            self.controls = controls
            self.name = name

        @property
        def control(self) -> Controls:
            """The panel."""
            return self.controls

    class Rejected(Message):
        """A typed value cannot be taken."""

        def __init__(self, controls: Controls, name: str, reason: str) -> None:
            super().__init__()
            self.controls = controls
            self.name = name
            self.reason = reason

        @property
        def control(self) -> Controls:
            """The panel."""
            return self.controls

    def __init__(
        self,
        params: SamplingParams | None = None,
        *,
        preset: str = "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._params = params or SamplingParams()
        self._defaults = self._params
        self._preset = preset
        self._unsupported: Mapping[str, str] = {}
        self._more = False

    def compose(self) -> ComposeResult:
        """Everything once; what is not in use waits undisplayed."""
        yield ActionRow("preset", id="controls-preset").with_tooltip(Content(PRESET_HELP))
        with Vertical(id="controls-sliders"):
            for spec in SPECS.values():
                value = getattr(self._params, spec.name)
                yield ParamSlider(spec, value, value, id=f"param-{spec.name}")
        yield ActionRow("more", id="controls-more").with_tooltip(Content(MORE_HELP))
        yield Label("order of the stages", classes="controls--heading", markup=False)
        yield OrderList(id="controls-order")
        yield Label("the reply", classes="controls--heading", markup=False)
        yield SeedRow(id="controls-seed")
        yield ActionRow("stop", id="controls-stop")
        yield ActionRow("logit bias", id="controls-logit_bias")
        yield ActionRow("end token", id="controls-ignore_eos")

    def on_mount(self) -> None:
        """Draw what was shown before there was a screen."""
        self._refresh_parts()

    def show(
        self,
        params: SamplingParams,
        defaults: SamplingParams,
        preset: str,
        unsupported: Mapping[str, str] | None = None,
    ) -> None:
        """Show other parameters; nothing is built anew.

        Args:
            params: The parameters in force.
            defaults: What the preset says; values that differ are marked, and reset goes back to these.
            preset: The preset's name.
            unsupported: Fields of SamplingParams the backend cannot use, each with the reason.
        """
        self._params, self._defaults, self._preset = params, defaults, preset
        self._unsupported = dict(unsupported or {})
        if self.is_mounted:
            self._refresh_parts()

    def _refresh_parts(self) -> None:
        params, unsupported = self._params, self._unsupported
        changed = params != self._defaults
        self.query_one("#controls-preset", ActionRow).show(f"{self._preset}{'*' if changed else ''} ▾")
        hidden = 0
        for slider in self.query(ParamSlider):
            name = slider.spec.name
            slider.set_default(getattr(self._defaults, name))
            slider.set_value(getattr(params, name))
            slider.set_unsupported(unsupported.get(name, ""))
            used = in_use(slider.spec, params)
            hidden += not used
            slider.display = used or self._more
        more = self.query_one("#controls-more", ActionRow)
        more.display = hidden > 0
        more.show("", label=f"▾ fewer ({hidden})" if self._more else f"▸ more ({hidden})")
        order = self.query_one(OrderList)
        order.show(params, self._defaults.order)
        order.disabled = "order" in unsupported
        order.tooltip = reasoned(ORDER_HELP, unsupported.get("order"))
        self._refresh_reply()

    def _refresh_reply(self) -> None:
        params = self._params
        self.query_one(SeedRow).show(params.seed)
        self.query_one("#controls-stop", ActionRow).show(", ".join(f'"{text}"' for text in params.stop) or "none")
        count = len(params.logit_bias)
        bias = "none" if not count else f"{count} token{'s' if count > 1 else ''}"
        self.query_one("#controls-logit_bias", ActionRow).show(bias)
        self.query_one("#controls-ignore_eos", ActionRow).show("ignored" if params.ignore_eos else "obeyed")
        for name, help_text in ROW_HELP.items():
            row = self.query_one(f"#controls-{name}")
            row.disabled = name in self._unsupported
            row.tooltip = reasoned(help_text, self._unsupported.get(name))

    def action_toggle_more(self) -> None:
        """Show all parameters, or those in use."""
        self._more = not self._more
        self._refresh_parts()
        self.query_one("#controls-more").scroll_visible(animate=False)

    def action_focus_row(self, rows: int) -> None:
        """Give the focus to a row further up or down."""
        focusable = [widget for widget in self.screen.focus_chain if self in widget.ancestors]
        focused = self.screen.focused
        if focused in focusable:
            place = focusable.index(focused) + rows
            focusable[min(len(focusable) - 1, max(0, place))].focus()

    @on(ActionRow.Pressed)
    def _row_pressed(self, event: ActionRow.Pressed) -> None:
        event.stop()
        match event.row.id:
            case "controls-preset":
                self.post_message(self.PresetRequested(self))
            case "controls-more":
                self.action_toggle_more()
            case "controls-ignore_eos":
                self.post_message(self.ParamChanged(self, "ignore_eos", not self._params.ignore_eos, True))
            case "controls-stop" | "controls-logit_bias" as row:
                self.post_message(self.EditRequested(self, row.removeprefix("controls-")))

    @on(ParamSlider.Changed)
    def _slider_changed(self, event: ParamSlider.Changed) -> None:
        event.stop()
        self.post_message(self.ParamChanged(self, event.name, event.value, event.final))

    @on(ParamSlider.Rejected)
    def _slider_rejected(self, event: ParamSlider.Rejected) -> None:
        event.stop()
        self.post_message(self.Rejected(self, event.name, event.reason))

    @on(SeedRow.Changed)
    def _seed_changed(self, event: SeedRow.Changed) -> None:
        event.stop()
        self.post_message(self.ParamChanged(self, "seed", event.seed, True))

    @on(SeedRow.Rejected)
    def _seed_rejected(self, event: SeedRow.Rejected) -> None:
        event.stop()
        self.post_message(self.Rejected(self, "seed", event.reason))

    @on(OrderList.Changed)
    def _order_changed(self, event: OrderList.Changed) -> None:
        event.stop()
        self.post_message(self.OrderChanged(self, event.order))
