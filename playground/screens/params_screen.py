"""The main screen's dealings with presets and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from playground.domain.display import display_text
from playground.domain.errors import PlaygroundError
from playground.domain.models import ModelInfo
from playground.domain.sampling import SamplingParams
from playground.screens.model_screen import ModelScreen
from playground.screens.tuning import Tuning
from playground.services.presets import Preset
from playground.services.settings import Settings

if TYPE_CHECKING:
    from playground.widgets.controls import Controls


class ParamsScreen(ModelScreen):
    """Puts parameters in force: from the next token on when one is being written, else with the next reply."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f6", "presets", "Preset", id="preset.choose", tooltip="Choose a sampling preset", priority=True),
        Binding(
            "ctrl+s",
            "save_preset",
            "Save preset",
            id="preset.save",
            tooltip="Save the sliders as a preset of your own",
            priority=True,
        ),
    ]

    controls: Controls
    """The panel of sliders; there once the screen is furnished."""

    def __init__(self, settings: Settings, model: str, presets: dict[str, Preset], preset: Preset) -> None:
        super().__init__(settings, model)
        self.tuning = Tuning(presets, preset)

    def take_changes(self) -> None:
        """Put in force what was changed since the last frame; once a frame is enough, however fast a slider moves."""
        if self.tuning.pending is not None:
            params, self.tuning.pending = self.tuning.pending, None
            self.attempt_later(self._use(params), "params")

    def show_params(self) -> None:
        """Bring the controls in line with the parameters in force."""
        params = self.pane.session.params
        self.controls.show(params, self.tuning.defaults(params), self.tuning.name)

    async def _use(self, params: SamplingParams) -> None:
        try:
            await self.pane.runner.set_params(params)
        finally:
            self.show_params()

    def on_controls_param_changed(self, event: Controls.ParamChanged) -> None:
        """A slider or a row was moved."""
        self._change(**{event.name: event.value})

    def on_controls_order_changed(self, event: Controls.OrderChanged) -> None:
        """A stage was moved in the order."""
        self._change(order=event.order)

    def on_controls_rejected(self, event: Controls.Rejected) -> None:
        """A typed value cannot be taken."""
        self.notify(display_text(event.reason), title=event.name, severity="warning", markup=False)

    def _change(self, **changes: Any) -> None:
        try:
            self.tuning.change(self.pane.session.params, changes)
        except PlaygroundError as error:
            self.tell(error)

    def on_controls_edit_requested(self, event: Controls.EditRequested) -> None:
        """What does not fit into a row wants a dialog."""
        self.tuning.edit_list(self, event.name, self.pane.session.params)

    def on_controls_preset_requested(self) -> None:
        """The preset's row was pressed."""
        self.action_presets()

    def action_presets(self) -> None:
        """Choose a preset."""
        self.tuning.choose(self, self.use_preset)

    def use_preset(self, preset: Preset) -> None:
        """Put a preset in force, from the next token on if one is being written."""
        self.tuning.take(preset, self.pane.session.params)
        if self.tuning.pending is not None:
            self.pane.session.name_change(self.tuning.pending, f"preset {display_text(preset.name)}")
        if preset.watch:
            title = f"{preset.name}: watch for"
            self.notify(display_text(preset.watch), title=display_text(title), timeout=12, markup=False)

    def action_save_preset(self) -> None:
        """Save the sliders as a preset."""
        self.tuning.save(self, self.pane.session.params)

    def model_ready(self, info: ModelInfo) -> None:
        """Offer what the model's file recommends."""
        recommended = self.tuning.recommend(info)
        if recommended is not None and not self.settings.preset:
            self.use_preset(recommended)
        super().model_ready(info)
