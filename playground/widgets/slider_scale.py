"""Where a value stands on a slider's bar, and which value a place, a step or a typed number means."""

from __future__ import annotations

import math

from playground.domain.param_specs import ParamSpec

Number = float | int
STOP_SHARE = 0.08
"""Part of the bar that each stop below a logarithmic range takes."""
WIDE = 1000
"""A whole-number range from here on is drawn logarithmically: one bar cell would span too many steps."""


class SliderScale:
    """The arithmetic of one slider, without a screen.

    A logarithm has no zero, so a logarithmic range begins at 1 (or at one step) and what lies below, such as 0 or -1,
    becomes a stop at the left end.
    """

    def __init__(self, spec: ParamSpec) -> None:
        self.spec = spec
        self.log = spec.scale == "log" or (spec.whole and spec.high - spec.low >= WIDE)
        self.stops: tuple[Number, ...] = self._find_stops() if self.log and spec.low <= 0 else ()
        self.floor: Number = (1 if spec.whole else spec.step) if self.stops else spec.low
        """The lowest value that is not a stop."""
        self._left = len(self.stops) * STOP_SHARE
        inside = spec.off is not None and spec.low < spec.off < spec.high and not self.log
        self.origin = self.position(spec.off) if inside and spec.off is not None else 0.0
        """Where the bar grows from, 0 to 1: a parameter that is off in mid-range grows to either side."""

    def _find_stops(self) -> tuple[Number, ...]:
        spec = self.spec
        if not spec.whole:
            return (spec.low,)
        stops = range(math.ceil(spec.low), 1)
        # Beside "no limit" below zero, zero itself is no stop one would want to pass over.
        return (int(spec.off),) if spec.off is not None and spec.off < 0 else tuple(stops)

    @property
    def range_text(self) -> str:
        """The range in words."""
        spec = self.spec
        off = "" if spec.off is None else f", {spec.off:g} is off"
        return f"{'Whole number from ' if spec.whole else ''}{spec.low:g} to {spec.high:g}{off}".capitalize()

    def clamp(self, value: Number) -> Number:
        """The nearest value in range; whole-number parameters give an int."""
        value = min(self.spec.high, max(self.spec.low, value))
        return round(value) if self.spec.whole else float(value)

    def text(self, value: Number) -> str:
        """The value as shown: "off" at its off value, else with the digits it has."""
        if value == self.spec.off:
            return "off"
        if self.spec.whole:
            return f"{value:.0f}"
        short = f"{value:.{self.spec.decimals}f}"
        return short if float(short) == value else f"{value:.4g}"

    def position(self, value: Number) -> float:
        """Place on the bar, 0 to 1."""
        spec = self.spec
        if not self.log:
            return (value - spec.low) / (spec.high - spec.low)
        if value < self.floor:
            below = [i for i, stop in enumerate(self.stops) if stop <= value]
            return below[-1] * STOP_SHARE if below else 0.0
        return self._left + (1 - self._left) * math.log(value / self.floor) / math.log(spec.high / self.floor)

    def at(self, position: float) -> Number:
        """Value at a place on the bar; places outside 0 to 1 mean the ends."""
        spec = self.spec
        position = min(1.0, max(0.0, position))
        if not self.log:
            return self.clamp(spec.low + (spec.high - spec.low) * position)
        if position < self._left - STOP_SHARE / 2:
            return self.stops[round(position / STOP_SHARE)]
        share = max(0.0, position - self._left) / (1 - self._left)
        return self.clamp(self.floor * (spec.high / self.floor) ** share)

    def _unit(self, value: Number) -> float:
        """Grid for mouse and keys: the step, and on a logarithmic range two significant digits."""
        if not self.log:
            return self.spec.step
        return max(self.spec.step, 10.0 ** (math.floor(math.log10(value)) - 1))

    def nice(self, value: Number) -> Number:
        """The nearest value on the grid."""
        if self.log and value < self.floor:
            return value
        base = 0.0 if self.log else self.spec.low
        unit = self._unit(value)
        return self.clamp(round(base + round((value - base) / unit) * unit, 10))

    def step(self, value: Number, count: int) -> Number:
        """The value `count` steps away. The border between stops and range is crossed one step at a time."""
        spec = self.spec
        if not self.log:
            place = (value - spec.low) / spec.step
            place = (math.floor(place + 1e-6) if count > 0 else math.ceil(place - 1e-6)) + count
            return self.clamp(round(spec.low + place * spec.step, 10))
        if value < self.floor:
            return self._from_stop(value, count)
        # Five percent a step, but never less than the grid, or small whole numbers would not move.
        change = max(abs(value * 1.05**count - value), self._unit(value) * abs(count))
        new = value + math.copysign(change, count)
        if new < self.floor:
            return self.floor if value > self.floor or not self.stops else self.stops[-1]
        return self.nice(new)

    def _from_stop(self, value: Number, count: int) -> Number:
        if count > 0:
            return next((stop for stop in self.stops if stop > value), self.floor)
        return next((stop for stop in reversed(self.stops) if stop < value), self.stops[0])

    def parse(self, text: str) -> Number | str:
        """The value typed, or a sentence saying why it cannot be taken. Typed values keep their digits."""
        spec = self.spec
        try:
            value: Number = int(text) if spec.whole else float(text)
        except ValueError:
            kind = "a whole number" if spec.whole else "a number"
            return f"{spec.label} takes {kind} from {spec.low:g} to {spec.high:g}."
        if not spec.low <= value <= spec.high:
            return f"{spec.label} goes from {spec.low:g} to {spec.high:g}."
        return value
