"""The panel of everything that shapes a reply: preset, options, sliders, order of the stages, seed, stops, biases."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from textual import on
from textual.app import ComposeResult
from textual.message import Message

from playground.domain.biases import NO_NAMES
from playground.domain.messages import CallOptions
from playground.domain.param_specs import SPECS
from playground.domain.sampling import SamplingParams
from playground.widgets.explained import NoteRow
from playground.widgets.option_rows import OFF_ON, OptionRows, with_default
from playground.widgets.order_list import OrderList
from playground.widgets.panel import Panel, PanelFoot
from playground.widgets.reply_rows import ROW_HELP, ReplyRows
from playground.widgets.rows import ActionRow, PressRow, SeedRow
from playground.widgets.slider import ParamSlider
from playground.widgets.slider_group import SliderGroup

PRESET_HELP: Final = (
    "Choose a preset: a named set of sampling parameters. A dot and a star say that something was changed."
)


class _PanelMessage(Message):
    """What the panel tells the screen."""

    def __init__(self, controls: Controls) -> None:
        super().__init__()
        self.controls = controls

    @property
    def control(self) -> Controls:
        """The panel."""
        return self.controls


class Controls(Panel, can_focus=False):
    """All sampling parameters. It shows what it is told and asks for changes; it decides nothing.

    Nothing in it moves while a person works in it: which sliders are displayed is settled when another preset or model
    comes, or once neither focus nor mouse is here.
    """

    DEFAULT_CSS = """
    Controls {
        width: 32;
        height: 1fr;
        & > #controls-options { margin: 1 0 0 0; }
        & > #controls-sliders { margin: 1 0 0 0; }
    }
    """

    class PresetRequested(_PanelMessage):
        """The person wants to choose a preset."""

    class ParamChanged(_PanelMessage):
        """The person set a parameter."""

        def __init__(self, controls: Controls, name: str, value: float | int | None, final: bool) -> None:
            super().__init__(controls)
            self.name = name
            """Field of SamplingParams: one of `SPECS`, "seed" (None: random) or "ignore_eos"."""
            self.value = value
            self.final = final
            """False while a slider is being dragged; a final message follows."""

    class OrderChanged(_PanelMessage):
        """The person changed the order of the stages."""

        def __init__(self, controls: Controls, order: tuple[str, ...]) -> None:
            super().__init__(controls)
            self.order = order

    class OptionsChanged(_PanelMessage):
        """The person changed what is asked for beside sampling parameters."""

        def __init__(self, controls: Controls, options: CallOptions) -> None:
            super().__init__(controls)
            self.options = options

    class EditRequested(_PanelMessage):
        """The person wants to edit what does not fit into a row: "stop", "logit_bias" or "grammar"."""

        def __init__(self, controls: Controls, name: str) -> None:
            super().__init__(controls)
            self.name = name

    class Rejected(_PanelMessage):
        """A typed value cannot be taken."""

        def __init__(self, controls: Controls, name: str, reason: str) -> None:
            super().__init__(controls)
            self.name = name
            self.reason = reason

    def __init__(
        self,
        params: SamplingParams | None = None,
        *,
        preset: str = "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        params = params or SamplingParams()
        self._shown = (params, params, preset, frozenset[str]())
        """Parameters in force, what the preset says, its name, the fields it sets."""
        self._names: Mapping[str, str] = NO_NAMES
        self._reasons: dict[str, str] = {}
        self._offer: tuple[CallOptions, dict[str, tuple[str, ...]]] = (CallOptions(), {})

    def compose(self) -> ComposeResult:
        """Everything once; what is not in use waits undisplayed."""
        preset = ActionRow("preset", id="controls-preset")
        preset.explain(PRESET_HELP)
        yield preset
        yield NoteRow(id="controls-note")
        yield OptionRows(id="controls-options")
        yield SliderGroup(self._shown[0], id="controls-sliders")
        yield ReplyRows(id="controls-reply")
        yield PanelFoot(id="controls-foot")

    def on_mount(self) -> None:
        """Draw what was shown before there was a screen."""
        self._refresh_options()
        self._refresh_values(settle=True)
        self._refresh_available()

    # What the screen tells the panel

    def show(
        self, params: SamplingParams, defaults: SamplingParams, preset: str, preset_fields: Collection[str] = ()
    ) -> None:
        """Show other parameters; nothing is built anew.

        Args:
            params: The parameters in force.
            defaults: What the preset says; values that differ are marked, and reset goes back to these.
            preset: The preset's name.
            preset_fields: Fields of SamplingParams that the preset sets by itself.
        """
        shown = (params, defaults, preset, frozenset(preset_fields))
        if shown != self._shown:
            another = preset != self._shown[2]
            self._shown = shown
            if self.is_mounted:
                self._refresh_values(settle=another or not self.occupied)

    def name_tokens(self, names: Mapping[str, str]) -> None:
        """Learn the texts of tokens by "#id", for the logit bias; they are shown with the next parameters."""
        self._names = names

    def set_available(self, reasons: Mapping[str, str]) -> None:
        """Say which parameters the model does not take.

        Args:
            reasons: Fields of SamplingParams, each with the reason, one sentence; empty: all are available.
        """
        if "json_schema" not in reasons:  # one row stands for both, and a schema can be edited
            reasons = {name: reason for name, reason in reasons.items() if name != "grammar"}
        known = {name: reason for name, reason in reasons.items() if reason and (name in SPECS or name in ROW_HELP)}
        if known != self._reasons:
            self._reasons = known
            if self.is_mounted:
                self._refresh_available()

    def set_options(
        self,
        options: CallOptions,
        *,
        effort: tuple[str, ...] = (),
        thinking: tuple[str, ...] = (),
        cache: tuple[str, ...] = (),
        legacy: bool = False,
    ) -> None:
        """Show what is asked for beside sampling parameters, a row for each option that the model offers.

        Args:
            options: The options in force.
            effort: Levels of effort.
            thinking: Ways of thinking.
            cache: How long a prompt can be kept, "off" included.
            legacy: True when sampling parameters can be sent on request.
        """
        self._offer = (
            options,
            {
                "effort": with_default(effort),
                "thinking": with_default(thinking),
                "cache": cache,
                "legacy_sampling": OFF_ON if legacy else (),
            },
        )
        if self.is_mounted:
            self._refresh_options()

    # Drawing

    def _refresh_values(self, settle: bool) -> None:
        params, defaults, preset, _ = self._shown
        changed = params != defaults
        tail = "* ▾" if changed else " ▾"
        self.query_one("#controls-preset", ActionRow).show(preset, tail=tail, changed=changed)
        self.query_one(SliderGroup).show(params, defaults, settle=settle)
        self.query_one(ReplyRows).show(params, defaults, self._names)
        self._refresh_note()

    def _refresh_options(self) -> None:
        options, offer = self._offer
        rows = self.query_one(OptionRows)
        rows.show(options, offer)
        rows.display = any(offer.values())

    def _refresh_available(self) -> None:
        group = self.query_one(SliderGroup)
        group.set_available(self._reasons)
        self.query_one(ReplyRows).set_available(self._reasons, folded=group.folded)
        self.make_room(set(self._reasons.values()))
        self._refresh_note()

    def _refresh_note(self) -> None:
        """Say how much of the preset is lost on this model; what it leaves off is not lost."""
        _, defaults, _, fields = self._shown
        lost = [
            SPECS[name].label if name in SPECS else name.replace("_", " ")
            for name in sorted(fields & self._reasons.keys())
            if name not in SPECS or getattr(defaults, name) != SPECS[name].off
        ]
        note = self.query_one(NoteRow)
        note.display = bool(lost)
        values, do = (f"{len(lost)} of its values", "do") if len(lost) > 1 else ("1 of its values", "does")
        short = f"{len(lost)} value{'s' if len(lost) > 1 else ''} {do} not apply here"
        note.show((f"{values} {do} not apply here", short), f"Not applied here: {', '.join(lost)}.")

    def left(self) -> None:
        """Nobody looks for a row now, so those in use can be displayed and the others not."""
        self.query_one(SliderGroup).settle()

    # What the person does

    @on(PressRow.Pressed)
    def _row_pressed(self, event: PressRow.Pressed) -> None:
        event.stop()
        match event.row.id:
            case "controls-preset":
                self.post_message(self.PresetRequested(self))
            case "controls-more":
                self.query_one(SliderGroup).toggle_more()
            case "controls-fold":
                self.query_one(SliderGroup).toggle_fold()
                self._refresh_available()
            case "controls-ignore_eos":
                self.post_message(self.ParamChanged(self, "ignore_eos", not self._shown[0].ignore_eos, True))
            case "controls-stop" | "controls-logit_bias" | "controls-grammar" as row:
                self.post_message(self.EditRequested(self, row.removeprefix("controls-")))

    @on(ParamSlider.Changed)
    def _slider_changed(self, event: ParamSlider.Changed) -> None:
        event.stop()
        self.post_message(self.ParamChanged(self, event.name, event.value, event.final))

    @on(OptionRows.Changed)
    def _options_changed(self, event: OptionRows.Changed) -> None:
        event.stop()
        self.post_message(self.OptionsChanged(self, event.options))

    @on(ParamSlider.Rejected)
    @on(SeedRow.Rejected)
    def _rejected(self, event: ParamSlider.Rejected | SeedRow.Rejected) -> None:
        event.stop()
        name = event.name if isinstance(event, ParamSlider.Rejected) else "seed"
        self.post_message(self.Rejected(self, name, event.reason))

    @on(SeedRow.Changed)
    def _seed_changed(self, event: SeedRow.Changed) -> None:
        event.stop()
        self.post_message(self.ParamChanged(self, "seed", event.seed, True))

    @on(OrderList.Changed)
    def _order_changed(self, event: OrderList.Changed) -> None:
        event.stop()
        self.post_message(self.OrderChanged(self, event.order))
