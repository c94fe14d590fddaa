"""What the sliders of a load begin with: the real figures of the last reply, as far as there are any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from playground.domain.counts import count_of
from playground.domain.display import display_line
from playground.domain.endpoints import REPLAY
from playground.domain.loads import Load, Times
from playground.domain.messages import Role
from playground.domain.usage import Usage
from playground.screens.pane import Pane
from playground.services.accounts import Accounts
from playground.widgets.load_sliders import LOAD_SPECS
from playground.widgets.slider_scale import Number, SliderScale

_ASSUMED: Final[dict[str, Number]] = {
    "requests": 1_000,
    "prompt": 2_000,
    "cached": 0,
    "reply": 300,
    "ttft": 500,
    "speed": 50.0,
}
NOTHING_MEASURED: Final = (
    "Nothing is measured yet: all figures are assumptions. After a reply in this pane its own stand here."
)


class Start(NamedTuple):
    """Where a person begins."""

    values: dict[str, Number]
    """By the names of the sliders."""
    note: str
    """Which of them were measured."""
    model: str
    """Id of the active pane's model, which the sliders are about; empty without one."""


def start_of(pane: Pane, accounts: Accounts) -> Start:
    """Figures of the active pane's last reply; without one, how fast its model was in this session."""
    values, told = dict(_ASSUMED), []
    card = pane.card if pane.card is not None and pane.card.provider != REPLAY else None
    model = card.id if card is not None else ""
    reply = pane.session.transcript.last(Role.ASSISTANT)
    finished = reply.finished if reply is not None else None
    if reply is not None and finished is not None:
        measured = _tokens(values, finished.usage)
        measured += _times(values, Times(finished.timings.ttft_ms, finished.timings.tokens_per_second))
        name = display_line(reply.model) or "a recording"
        told += [f"As measured in the last reply here, {name}: {', '.join(measured)}."] if measured else []
    else:
        summary = accounts.latency.summary(model)
        measured = _times(values, Times(summary.ttft_ms.p50, summary.tokens_per_second.p50))
        told += [f"Median of this model's replies in this session: {', '.join(measured)}."] if measured else []
    values = {key: SliderScale(LOAD_SPECS[key]).clamp(value) for key, value in values.items()}
    if not told:
        return Start(values, NOTHING_MEASURED, model)
    return Start(values, " ".join([*told, "All else is a guess."]), model)


def _times(values: dict[str, Number], times: Times) -> list[str]:
    told = []
    if times.ttft_ms is not None:
        values["ttft"] = times.ttft_ms
        told.append(f"TTFT {times.ttft_ms:,.0f} ms")
    if times.tokens_per_second is not None:
        values["speed"] = times.tokens_per_second
        told.append(f"{times.tokens_per_second:,.1f} tokens/s")
    return told


def _tokens(values: dict[str, Number], usage: Usage) -> list[str]:
    about, told = "≈" if usage.estimate else "", []
    if usage.prompt_tokens:
        values["prompt"] = usage.prompt_tokens
        told.append(f"{about}{count_of(usage.prompt_tokens, 'token')} in")
        if usage.cached_tokens is not None:
            values["cached"] = round(100 * usage.cached_tokens / usage.prompt_tokens)
            told.append(f"{about}{usage.cached_tokens:,} of them cached")
    if usage.completion_tokens:
        values["reply"] = usage.completion_tokens
        told.append(f"{about}{usage.completion_tokens:,} out")
    return told


def measured_models(accounts: Accounts) -> dict[str, Times]:
    """How fast each model was in this session, by its id; recordings are no models."""
    return {
        one.model: Times(one.ttft_ms.p50, one.tokens_per_second.p50)
        for one in accounts.latency.summaries()
        if one.count and not one.model.startswith(f"{REPLAY}/")
    }


def load_of(values: Mapping[str, Number]) -> Load:
    """The load that the sliders say."""
    return Load(
        requests_per_day=values["requests"],
        prompt_tokens=round(values["prompt"]),
        completion_tokens=round(values["reply"]),
        cached_share=values["cached"] / 100,
        ttft_ms=values["ttft"],
        tokens_per_second=values["speed"],
    )
