"""The bottom row: model, context, latency, cost and what is going on right now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from playground.domain.display import display_text
from playground.domain.messages import PromptParts
from playground.widgets.bars import UNKNOWN
from playground.widgets.meter import ContextMeter

MIN_METER: Final = 20
MIN_MODEL: Final = 9
SHRINK: Final = {"state": (12, 24), "model": (MIN_MODEL, 34)}
"""Fields that still say something when their end is cut off: the least and most cells they take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """Everything the status bar shows. None is "nobody knows" and drawn as such."""

    model: str = ""
    parts: PromptParts = field(default_factory=PromptParts)
    reply_tokens: int = 0
    """Tokens of the reply so far."""
    reserve: int = 0
    """Tokens set aside for the whole reply."""
    context: int | None = None
    """Size of the context window in tokens."""
    estimate: bool = False
    """True when token counts are not the model's own."""
    ttft_ms: float | None = None
    tokens_per_second: float | None = None
    prefill_tokens_per_second: float | None = None
    cost: float | None = None
    """US dollars."""
    state: str = ""
    """What is going on, e.g. "ready", "prefill 512/2,048", "stopped: end of text"."""
    busy: bool = False


class _Field(NamedTuple):
    least: int
    """Cells it takes from the beginning, the gap included, so that the first figures move nothing."""
    tooltip: str


FIELDS = {
    "state": _Field(16, "What the model is doing right now, or why the last reply ended."),
    "speed": _Field(12, "Decode speed: tokens after the first per second. Decode makes them one by one."),
    "ttft": _Field(12, "TTFT, time to first token: from pressing send until it came. It is mostly prefill."),
    "cost": _Field(3, "What this call cost in US dollars: $0 for a model on this machine, – without a known price."),
    "model": _Field(MIN_MODEL, "The model that answers."),
    "prefill": _Field(20, "Prefill speed: prompt tokens per second. They are computed in parallel, so it is faster."),
}
"""By id, the most important first: the last one goes when there is no room."""


class StatusBar(Horizontal):
    """One row of figures; fields that do not fit are left out, the least important first."""

    DEFAULT_CSS = """
    StatusBar {
        height: 1;
        width: 100%;
        background: $panel;
        color: $foreground;
        padding: 0 1;
        & > Static { height: 1; padding: 0 1 0 0; text-wrap: nowrap; text-overflow: ellipsis; }
        & > #status-model { text-style: bold; }
        & > ContextMeter { padding: 0 2 0 0; }
        & > #status-state { padding: 0; text-align: right; color: $text-muted; }
        &.-busy > #status-state { color: $accent; }
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._view = StatusView()
        self._texts = _texts(self._view)
        self._needs = {name: field.least for name, field in FIELDS.items()}
        """The widest each field had to be so far. A field that shrank again would move the others with every token."""

    def compose(self) -> ComposeResult:
        """The fields from left to right."""
        yield self._field("model")
        yield ContextMeter(id="status-context")
        for name in ("ttft", "speed", "prefill", "cost", "state"):
            yield self._field(name)

    def _field(self, name: str) -> Static:
        figure = Static(Content(self._texts[name]), id=f"status-{name}", markup=False)
        figure.tooltip = Content(FIELDS[name].tooltip)
        figure.styles.width = self._needs[name]
        return figure

    def show(self, view: StatusView) -> None:
        """Show other figures; cheap when little or nothing changed."""
        if view == self._view or not self.is_mounted:
            self._view = view
            return
        self._view = view
        self._refresh_fields()

    def _refresh_fields(self) -> None:
        view = self._view
        grown = False
        for name, text in _texts(view).items():
            if text != self._texts[name]:
                self._texts[name] = text
                self.query_one(f"#status-{name}", Static).update(Content(text), layout=False)
                need = cell_len(text) + (name != "state")
                if need > self._needs[name]:
                    self._needs[name] = need
                    grown = True
        if grown:
            self._divide()
        self.query_one(ContextMeter).show(
            view.parts, view.reply_tokens, view.reserve, view.context, estimate=view.estimate
        )
        self.set_class(view.busy, "-busy")

    def on_mount(self) -> None:
        """Draw what was shown before there was a screen."""
        self._refresh_fields()

    def on_resize(self) -> None:
        """Leave out what does not fit."""
        self._divide()

    def _divide(self) -> None:
        room = self.scrollable_content_region.width - MIN_METER
        for name in FIELDS:
            need = self._needs[name]
            if name in SHRINK:
                least, most = SHRINK[name]
                need = min(need, most, max(least, room))
            figure = self.query_one(f"#status-{name}")
            figure.display = need <= room
            figure.styles.width = need
            room = room - need if need <= room else 0


def _texts(view: StatusView) -> dict[str, str]:
    return {
        "model": display_text(view.model).replace("\n", " ") or UNKNOWN,
        "ttft": f"TTFT {_milliseconds(view.ttft_ms)}",
        "speed": f"{_rate(view.tokens_per_second)} tok/s",
        "prefill": f"prefill {_rate(view.prefill_tokens_per_second)} tok/s",
        "cost": dollars(view.cost),
        "state": display_text(view.state).replace("\n", " "),
    }


def _milliseconds(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,.0f} ms" if value < 9999.5 else f"{value / 1000:,.1f} s"


def _rate(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def dollars(cost: float | None) -> str:
    """US dollars as short as they are told apart from nothing: "$0", "$0.0004", "$1.25"."""
    if cost is None:
        return UNKNOWN
    if cost == 0:
        return "$0"
    if cost < 0.0001:
        return "<$0.0001"
    return f"${cost:.4f}" if cost < 1 else f"${cost:,.2f}"
