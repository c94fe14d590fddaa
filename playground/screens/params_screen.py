"""The main screen's dealings with presets, parameters and call options."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec import structs
from textual.binding import Binding, BindingType

from playground.backends.base import Capabilities
from playground.domain.display import display_text
from playground.domain.errors import PlaygroundError
from playground.domain.sampling import SamplingParams
from playground.screens.model_screen import ModelScreen
from playground.screens.pane import Pane
from playground.screens.tuning import Tuning
from playground.services.preset_shelf import PresetShelf
from playground.services.presets import Preset
from playground.services.settings import Settings

if TYPE_CHECKING:
    from playground.widgets.controls import Controls

_UNKNOWN: Final = Capabilities(params=frozenset(SamplingParams.__struct_fields__), logprobs="maybe")
"""Without a model nothing is known to be out of its reach."""


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
    linked = False
    """True while a slider that is moved moves in all panes."""

    def __init__(self, settings: Settings, model: str, presets: dict[str, Preset], preset: Preset) -> None:
        super().__init__(settings, model)
        self.first_tuning = Tuning(PresetShelf(presets), preset)

    @property
    def tuning(self) -> Tuning:
        """Presets as they are in the active pane."""
        return self.pane.tuning if hasattr(self, "pane") else self.first_tuning

    def take_changes(self) -> None:
        """Put in force what was changed since the last frame; once a frame is enough, however fast a slider moves."""
        for pane in self.all_panes:
            if pane.tuning.pending is not None:
                self.attempt_later(partial(self.take_change, pane), "params")

    async def take_change(self, pane: Pane) -> None:
        """The same for one pane; a prompt that is sent right after a change goes with it."""
        params, pane.tuning.pending = pane.tuning.pending, None
        if params is not None:
            await self._use(pane, params)

    def show_params(self) -> None:
        """Bring the controls in line with the active pane: parameters, options, and what its model takes."""
        pane = self.pane
        params, backend = pane.session.params, pane.runner.backend
        if backend is not None:
            self._show_abilities(pane, backend.capabilities)
        elif not pane.opening:  # while one loads, what holds now will most likely hold again
            self._show_abilities(pane, _UNKNOWN)
        preset = pane.tuning.preset
        self.controls.border_title = "all panes together" if self.linked else ""
        self.controls.show(params, pane.tuning.defaults(params), preset.name, tuple(preset.sampling))

    def _show_abilities(self, pane: Pane, able: Capabilities) -> None:
        reasons = {name: able.why_not(name) for name in SamplingParams.__struct_fields__ if name not in able.params}
        if pane.session.options.legacy_sampling:
            reasons = {name: reason for name, reason in reasons.items() if name not in able.legacy_sampling}
        self.controls.set_available(reasons)
        self.controls.set_options(
            pane.session.options,
            effort=able.effort,
            thinking=able.thinking,
            cache=able.cache,
            legacy=bool(able.legacy_sampling),
        )

    async def _use(self, pane: Pane, params: SamplingParams) -> None:
        try:
            await pane.runner.set_params(params)
        finally:
            self.show_params()

    def on_controls_param_changed(self, event: Controls.ParamChanged) -> None:
        """A slider or a row was moved."""
        self._change(**{event.name: event.value})

    def on_controls_order_changed(self, event: Controls.OrderChanged) -> None:
        """A stage was moved in the order."""
        self._change(order=event.order)

    def on_controls_options_changed(self, event: Controls.OptionsChanged) -> None:
        """Effort, thinking or caching was chosen."""
        before = self.pane.session.options
        names = (name for name in before.__struct_fields__ if getattr(before, name) != getattr(event.options, name))
        changes = {name: getattr(event.options, name) for name in names}
        for pane in self.all_panes if self.linked else (self.pane,):
            pane.session.options = structs.replace(pane.session.options, **changes)
        self.show_params()

    def on_controls_rejected(self, event: Controls.Rejected) -> None:
        """A typed value cannot be taken."""
        self.notify(display_text(event.reason), title=event.name, severity="warning", markup=False)

    def _change(self, **changes: Any) -> None:
        try:
            for pane in self.all_panes if self.linked else (self.pane,):
                pane.tuning.change(pane.session.params, changes)
        except PlaygroundError as error:
            self.tell(error)

    async def on_controls_edit_requested(self, event: Controls.EditRequested) -> None:
        """What does not fit into a row wants a dialog."""
        if event.name in ("grammar", "logit_bias"):
            await self.run_action(event.name)
            return
        self.tuning.edit_list(self, event.name, self.pane.session.params)

    def on_controls_preset_requested(self) -> None:
        """The preset's row was pressed."""
        self.action_presets()

    def action_presets(self) -> None:
        """Choose a preset."""
        self.tuning.choose(self, partial(self.use_preset, told=True))

    def use_preset(self, preset: Preset, pane: Pane | None = None, *, told: bool = False) -> None:
        """Put a preset in force in a pane, from the next token on if one is being written.

        Args:
            preset: The preset.
            pane: The active one if not given.
            told: True when what to watch for was read where the preset was chosen.
        """
        pane = pane or self.pane
        pane.tuning.take(preset, pane.session.params)
        if pane.tuning.pending is not None:
            pane.session.name_change(pane.tuning.pending, f"preset {display_text(preset.name)}")
        if preset.watch and pane is self.pane and not told:
            title = f"{preset.name}: watch for"
            self.notify(display_text(preset.watch), title=display_text(title), timeout=6, markup=False)

    def action_save_preset(self) -> None:
        """Save the sliders as a preset."""
        self.tuning.save(self, self.pane.session.params)

    def model_ready(self, pane: Pane) -> None:
        """Offer what the model's file recommends."""
        assert pane.card is not None, "the model is there"
        recommended = pane.tuning.recommend(pane.card)
        if recommended is not None and not self.settings.preset and not pane.tuning.chosen:
            self.use_preset(recommended, pane)
        self.show_params()
        super().model_ready(pane)
