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
from playground.domain.prices import usd_text
from playground.domain.sizes import size_text
from playground.widgets.bars import UNKNOWN
from playground.widgets.meter import ContextMeter

MIN_METER: Final = 20
MIN_MODEL: Final = 9
SHRINK: Final = {"state": (12, 24), "model": (MIN_MODEL, 34)}
"""Fields that still say something when their end is cut off: the least and most cells they take."""
AFTER_METER: Final = "session"
"""From this field on, a bar in the context meter comes first."""
STATE_SHARE: Final = 5
"""On wide screens the state may take a fifth of the row, for a countdown or a reason."""


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
    max_output: int | None = None
    """Most tokens of one reply."""
    ttft_ms: float | None = None
    tokens_per_second: float | None = None
    speed_estimate: bool = False
    """True when the speed is reckoned from what arrives, not from the provider's count."""
    inter_token_p50_ms: float | None = None
    inter_token_p95_ms: float | None = None
    memory_bytes: int | None = None
    """Resident memory of the model's process."""
    prefill_tokens_per_second: float | None = None
    cost: float | None = None
    """US dollars of the reply; None while there is nothing to say."""
    cost_estimate: bool = False
    """True while the provider has not said how many tokens it was."""
    price_unknown: bool = False
    """True when nobody knows what the model costs; it wins over `cost`."""
    session_cost: float | None = None
    """US dollars since the program was started."""
    session_unknown: int = 0
    """Requests of the session whose price is unknown; they are not in the sum."""
    day_cost: float | None = None
    """US dollars of today."""
    price_note: str = ""
    """Where the prices come from and of what date they are."""
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
    "cost": _Field(3, "What the last call cost in US dollars: $0 for a model on this machine."),
    "model": _Field(MIN_MODEL, "The model that answers."),
    "session": _Field(0, "What all calls since the start of the program cost in US dollars."),
    "day": _Field(0, "What all calls of today cost in US dollars."),
    "prefill": _Field(21, "Prefill speed: prompt tokens per second. They are computed in parallel, so it is faster."),
    "gap": _Field(0, "Time between two tokens: half of them came within p50, 95 % within p95."),
    "memory": _Field(0, "Memory of the process in which the model runs."),
}
"""By id, the most important first: the last one goes when there is no room. Those of width 0 come with their figure."""
GAPS: Final = {"state": 0, "gap": 2, "prefill": 2, "memory": 2}
"""Empty cells behind a field, where it is not one."""
ORDER: Final = ("ttft", "speed", "gap", "prefill", "memory", "cost", "session", "day", "state")
"""From left to right, behind model and context."""


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
        & > ContextMeter, & > #status-gap, & > #status-prefill, & > #status-memory { padding: 0 2 0 0; }
        & > #status-state { padding: 0; text-align: right; color: $text-muted; }
        &.-busy > #status-state { color: $accent; }
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._view = StatusView()
        self._texts = _texts(self._view)
        self._tooltips = _tooltips(self._view)
        self._needs = {name: field.least for name, field in FIELDS.items()}
        """The widest each field had to be so far. A field that shrank again would move the others with every token."""

    def compose(self) -> ComposeResult:
        """The fields from left to right."""
        yield self._field("model")
        yield ContextMeter(id="status-context")
        for name in ORDER:
            yield self._field(name)

    def _field(self, name: str) -> Static:
        figure = Static(Content(self._texts[name]), id=f"status-{name}", markup=False)
        figure.tooltip = Content(self._tooltips[name])
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
                need = cell_len(text) + GAPS.get(name, 1)
                if text and need > self._needs[name]:
                    self._needs[name] = need
                    grown = True
        for name, tooltip in _tooltips(view).items():
            if tooltip != self._tooltips[name]:
                self._tooltips[name] = tooltip
                self.query_one(f"#status-{name}", Static).tooltip = Content(tooltip)
        meter = self.query_one(ContextMeter)
        need = meter.need
        meter.show(view.parts, view.reply_tokens, view.reserve, view.context, view.estimate, view.max_output)
        if grown or meter.need != need:
            self._divide()
        self.set_class(view.busy, "-busy")

    def on_mount(self) -> None:
        """Draw what was shown before there was a screen."""
        self._refresh_fields()

    def on_resize(self) -> None:
        """Leave out what does not fit."""
        self._divide()

    def _divide(self) -> None:
        width = self.scrollable_content_region.width
        room = width - MIN_METER
        for name in FIELDS:
            need = self._needs[name]
            if name == AFTER_METER:
                room -= max(0, self.query_one(ContextMeter).need - MIN_METER)
            if name in SHRINK:
                least, most = SHRINK[name]
                most = max(most, width // STATE_SHARE) if name == "state" else most
                need = min(need, most, max(least, room))
            figure = self.query_one(f"#status-{name}")
            figure.display = 0 < need <= room
            figure.styles.width = need
            room = room - need if need <= room else min(room, 0)


def _texts(view: StatusView) -> dict[str, str]:
    return {
        "model": _line(view.model) or UNKNOWN,
        "ttft": f"TTFT {_milliseconds(view.ttft_ms)}",
        "speed": f"{_speed(view.tokens_per_second, view.speed_estimate)} tok/s",
        "gap": _gap(view.inter_token_p50_ms, view.inter_token_p95_ms),
        "prefill": f"prefill {_rate(view.prefill_tokens_per_second)} tok/s",
        "memory": "" if view.memory_bytes is None else f"mem {size_text(view.memory_bytes)}",
        "cost": "price ?" if view.price_unknown else _about(dollars(view.cost), view.cost_estimate),
        "session": _session(view.session_cost, view.session_unknown),
        "day": f"· day {total(view.day_cost)}" if view.day_cost else "",
        "state": _line(view.state),
    }


def _tooltips(view: StatusView) -> dict[str, str]:
    """Those of `FIELDS`, with what there is to say about the figures of the moment."""
    said = {name: field.tooltip for name, field in FIELDS.items()}
    if view.model:
        said["model"] += f"\n{_line(view.model)}"
    if view.state:
        said["state"] += f"\n{_line(view.state)}"
    if view.price_unknown:
        said["cost"] += "\nPrice unknown: a price of your own can be put into the settings."
    elif view.cost_estimate:
        said["cost"] += "\n≈ is an estimate, until the provider says how many tokens it was."
    if view.price_note:
        said["cost"] += f"\n{_line(view.price_note)}"
    if count := view.session_unknown:
        calls = "1 call of unknown price is" if count == 1 else f"{count:,} calls of unknown price are"
        said["session"] += f"\n{calls} not in it."
    if view.speed_estimate:
        said["speed"] += "\n≈ is an estimate, until the provider says how many tokens it was."
    return said


def _line(text: str) -> str:
    """Foreign text on one line."""
    return display_text(text).replace("\n", " ")


def _about(figure: str, estimate: bool) -> str:
    return f"≈{figure}" if estimate and figure != UNKNOWN else figure


def _milliseconds(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,.0f} ms" if value < 9999.5 else f"{value / 1000:,.1f} s"


def _rate(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def _speed(value: float | None, estimate: bool) -> str:
    """An estimate claims no tenths."""
    return f"≈{value:,.0f}" if estimate and value is not None else _rate(value)


def _gap(p50: float | None, p95: float | None) -> str:
    if p50 is None and p95 is None:
        return ""
    shown = (UNKNOWN if value is None else f"{value:,.0f}" for value in (p50, p95))
    return "p50 {} · p95 {} ms".format(*shown)


def _session(cost: float | None, unknown: int) -> str:
    """What was paid for, and a question mark for what nobody can add to it; nothing where nothing was paid."""
    if not cost:
        return "· session ?" if unknown else ""
    return f"· session {total(cost)}{' + ?' if unknown else ''}"


def dollars(cost: float | None) -> str:
    """US dollars as short as they are told apart from nothing: "$0", "$0.0004", "$1.25"."""
    if cost is None:
        return UNKNOWN
    return usd_text(cost) if cost else "$0"


def total(cost: float) -> str:
    """US dollars of many calls: cents are enough from the first cent on."""
    return dollars(cost) if cost < 0.01 else f"${cost:,.2f}"
