"""Sliders of a load: how often, how long, how much of it cached, and how fast the model is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Grid
from textual.message import Message

from playground.domain.param_specs import ParamSpec
from playground.widgets.slider import ParamSlider
from playground.widgets.slider_scale import Number, SliderScale

_MILLION: Final = 1_000_000


def _spec(name: str, label: str, low: float, high: float, help_text: str, decimals: int = 0) -> ParamSpec:
    return ParamSpec(
        name=name,
        label=label,
        low=low,
        high=high,
        step=10.0**-decimals,
        help=help_text,
        decimals=decimals,
        scale="log" if high > 100 else "linear",
    )


LOAD_SPECS: Final = {
    spec.name: spec
    for spec in (
        _spec("requests", "requests a day", 1, 10 * _MILLION, "How often the model is asked."),
        _spec("prompt", "tokens in", 1, 2 * _MILLION, "Length of one prompt, what is cached of it included."),
        _spec("cached", "cached %", 0, 100, "Part of the prompt that is read from the provider's cache."),
        _spec("reply", "tokens out", 1, 200_000, "Length of one reply, thinking included."),
        _spec("ttft", "TTFT ms", 1, 120_000, "What one waits for the first token: mostly prefill, and the way there."),
        _spec("speed", "tokens/s", 0.1, 10_000, "How fast the reply is written from then on.", decimals=1),
    )
}
"""By name, in the order they are shown."""


class LoadScale(SliderScale):
    """Millions are written short: a slider has seven cells for its value."""

    def text(self, value: Number) -> str:
        """The value as shown, such as "12,500" or "1.25M"."""
        if value >= _MILLION:
            return f"{value / _MILLION:.4g}M"
        return f"{value:,.{self.spec.decimals}f}"


class LoadSlider(ParamSlider):
    """A slider for one figure of a load."""

    def __init__(self, spec: ParamSpec, value: Number) -> None:
        super().__init__(spec, value, value, id=f"load-{spec.name}")
        self.scale = LoadScale(spec)
        self._refresh_tooltip()


class LoadSliders(Grid):
    """All of them, in as many columns as there is room for."""

    DEFAULT_CSS = """
    LoadSliders { grid-size: 2; grid-gutter: 0 2; height: auto; grid-rows: 1; padding: 0 1; }
    """

    class Changed(Message):
        """A person set another value."""

        def __init__(self, values: Mapping[str, Number]) -> None:
            super().__init__()
            self.values = values

    def __init__(self, values: Mapping[str, Number]) -> None:
        super().__init__()
        self._values = values

    def compose(self) -> ComposeResult:
        """A slider a figure."""
        for name, spec in LOAD_SPECS.items():
            yield LoadSlider(spec, self._values[name])

    def values(self) -> dict[str, Number]:
        """What they say now, by name."""
        return {slider.spec.name: slider.value for slider in self.query(LoadSlider)}

    @on(LoadSlider.Changed)
    def _changed(self, event: LoadSlider.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(self.values()))

    @on(LoadSlider.Rejected)
    def _rejected(self, event: LoadSlider.Rejected) -> None:
        event.stop()
        self.notify(event.reason, severity="warning", timeout=4, markup=False)
