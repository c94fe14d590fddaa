"""A chart as an SVG file by itself: no scripts, nothing fetched, every text escaped."""

from __future__ import annotations

from html import escape
from typing import Final

from playground.domain.display import display_line
from playground.services.experiment_plots import Chart, Curve, axes, bar_axis

_WIDTH: Final = 720
_HEIGHT: Final = 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 44, 56
_LEGEND: Final = 20
_NAME: Final = 32
"""Characters that have room before a bar."""
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#111111")
"""M. Okabe and K. Ito, "Color Universal Design": told apart by colour-blind people too."""


def svg(chart: Chart) -> str:
    """The chart as the text of a file."""
    if not chart.x_label:
        return _bars(chart)
    x_axis, y_axis = axes(chart, 8, 6)
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    rows = len(chart.curves) if len(chart.curves) > 1 else 0
    height = _HEIGHT + rows * _LEGEND

    def place_x(value: float) -> float:
        return round(_LEFT + x_axis.share(value) * wide, 1)

    def place_y(value: float) -> float:
        return round(_TOP + (1 - y_axis.share(value)) * high, 1)

    parts = _head(chart, height)
    for tick in y_axis.ticks:
        y = place_y(tick)
        parts.append(f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="#dddddd"/>')
        parts.append(_label(_LEFT - 8, y + 4, f"{tick:g}", "end"))
    for tick in x_axis.ticks:
        x = place_x(tick)
        parts.append(f'<line x1="{x}" y1="{_TOP + high}" x2="{x}" y2="{_TOP + high + 5}" stroke="#555555"/>')
        parts.append(_label(x, _TOP + high + 20, f"{tick:g}", "middle"))
    parts.append(f'<rect x="{_LEFT}" y="{_TOP}" width="{wide}" height="{high}" fill="none" stroke="#555555"/>')
    parts.append(_label(_LEFT + wide / 2, _HEIGHT - 14, chart.x_label, "middle"))
    middle = _TOP + high / 2
    parts.append(f'<g transform="rotate(-90 16 {middle})">{_label(16, middle, chart.y_label, "middle")}</g>')
    for number, curve in enumerate(chart.curves):
        parts += _curve(curve, _COLOURS[number % len(_COLOURS)], [(place_x(x), place_y(y)) for x, y in curve.points])
    for row in range(rows):
        y, colour = _HEIGHT + row * _LEGEND, _COLOURS[row % len(_COLOURS)]
        parts.append(f'<rect x="{_LEFT}" y="{y - 10}" width="12" height="12" fill="{colour}"/>')
        parts.append(_label(_LEFT + 20, y, chart.curves[row].name, "start"))
    return "\n".join((*parts, "</svg>", ""))


def _head(chart: Chart, height: int) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f"<title>{_text(chart.title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _label(_WIDTH / 2, 24, chart.title, "middle", size=16),
    ]


def _bars(chart: Chart) -> str:
    """A bar a row, with its name before it and its value behind it."""
    axis, row, left = bar_axis(chart), 30, 240
    parts = _head(chart, _TOP + len(chart.curves) * row + 10)
    for number, curve in enumerate(chart.curves):
        value, y = curve.points[0][1], _TOP + number * row
        long = round(max(0.0, axis.share(value)) * (_WIDTH - left - 80), 1)
        parts.append(_label(left - 8, y + 15, _cut(curve.name), "end"))
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(f'<rect x="{left}" y="{y}" width="{long}" height="{row - 8}" fill="{colour}"/>')
        parts.append(_label(left + long + 6, y + 15, f"{value:.4g}", "start"))
    return "\n".join((*parts, "</svg>", ""))


def _cut(name: str) -> str:
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"


def _curve(curve: Curve, colour: str, places: list[tuple[float, float]]) -> list[str]:
    line = " ".join(f"{x},{y}" for x, y in places)
    name = _text(curve.name)
    dots = [
        f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"><title>{name}: {at:g}, {value:.4g}</title></circle>'
        for (x, y), (at, value) in zip(places, curve.points, strict=True)
    ]
    return [f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots]


def _label(x: float, y: float, text: str, anchor: str, size: int = 13) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" fill="#111111">{_text(text)}</text>'


def _text(text: str) -> str:
    """Text that XML shows as it is; control characters, which XML does not allow, have become pictures."""
    return escape(display_line(text))
