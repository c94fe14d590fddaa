"""The sliders of the control panel: the common ones, and behind a fold those that are seldom needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from textual.app import ComposeResult
from textual.containers import Vertical

from playground.domain.param_specs import SPECS, ParamSpec
from playground.domain.sampling import SamplingParams, active_stages
from playground.widgets.rows import ActionRow, FoldRow
from playground.widgets.slider import ParamSlider

NEVER_BY_GROUP: Final = ("temperature", "limits")
"""Groups of which one parameter is nearly always on and says nothing about the others."""
MORE_HELP: Final = "Show or hide the parameters that are not in use."
FOLD_HELP: Final = "Show or hide the controls that this model has no use for."
NO_SAMPLING: Final = frozenset(name for name, spec in SPECS.items() if spec.group != "limits")
"""Where all of these are unavailable, the model takes no sampling parameters at all."""


def in_use(spec: ParamSpec, params: SamplingParams) -> bool:
    """True for a parameter one should see: a common one, one that was set, or one whose stage runs."""
    if spec.common or getattr(params, spec.name) != getattr(SamplingParams(), spec.name):
        return True
    if spec.name == "dynatemp_exponent":
        return params.dynatemp_range > 0.0
    running = {name.removesuffix("_v2") for name in active_stages(params)}
    return spec.group not in NEVER_BY_GROUP and spec.group in running


class SliderGroup(Vertical):
    """A slider a parameter. Which of them are displayed changes only when `settle` says so.

    The line that shows more stands below the common ones, so that neither they nor the line itself ever move.
    """

    DEFAULT_CSS = """
    SliderGroup {
        height: auto;
        & > #controls-fold { margin: 0 0 1 0; }
    }
    """

    def __init__(self, params: SamplingParams, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._params = params
        self._reasons: Mapping[str, str] = {}
        self._used = frozenset[str]()
        self._more = False
        self._unfolded = False

    def compose(self) -> ComposeResult:
        """Everything once; what is not in use waits undisplayed."""
        fold, more = FoldRow(id="controls-fold"), ActionRow("more", id="controls-more")
        fold.explain(FOLD_HELP)
        more.explain(MORE_HELP)
        yield fold
        yield from self._sliders(common=True)
        yield more
        yield from self._sliders(common=False)

    def _sliders(self, common: bool) -> list[ParamSlider]:
        specs = [spec for spec in SPECS.values() if spec.common == common]
        values = [getattr(self._params, spec.name) for spec in specs]
        return [
            ParamSlider(spec, value, value, id=f"param-{spec.name}") for spec, value in zip(specs, values, strict=True)
        ]

    @property
    def folded(self) -> bool:
        """True while everything that is not available is folded into one line."""
        return self._reasons.keys() >= NO_SAMPLING and not self._unfolded

    def show(self, params: SamplingParams, defaults: SamplingParams, *, settle: bool) -> None:
        """Show other values; `settle` displays the sliders that are in use, and those alone."""
        self._params = params
        for slider in self.query(ParamSlider):
            name = slider.spec.name
            slider.set_default(getattr(defaults, name))
            slider.set_value(getattr(params, name))
        if settle:
            self.settle()

    def set_available(self, reasons: Mapping[str, str]) -> None:
        """Say which parameters are not available, and why."""
        self._reasons = reasons
        for slider in self.query(ParamSlider):
            slider.set_unavailable(reasons.get(slider.spec.name, ""))
        self.settle()

    def settle(self) -> None:
        """Display the sliders that are in use now, and those alone."""
        self._used = frozenset(name for name, spec in SPECS.items() if in_use(spec, self._params))
        self._arrange()

    def toggle_more(self) -> None:
        """Show all parameters, or those in use."""
        self._more = not self._more
        self.settle()

    def toggle_fold(self) -> None:
        """Show what is not available, or fold it."""
        self._unfolded = not self._unfolded
        self.settle()

    def _arrange(self) -> None:
        folded, unused = self.folded, 0
        for slider in self.query(ParamSlider):
            name = slider.spec.name
            there = not (folded and slider.reason)
            unused += there and name not in self._used
            slider.display = there and (name in self._used or self._more)
        more = self.query_one("#controls-more", ActionRow)
        more.display = unused > 0
        more.show("", label=f"▾ fewer ({unused})" if self._more else f"▸ more ({unused})")
        fold = self.query_one(FoldRow)
        fold.display = self._reasons.keys() >= NO_SAMPLING
        if fold.display:
            [(reason, _)] = Counter(self._reasons.values()).most_common(1)
            fold.show(f"{len(self._reasons)} sampling controls are not available: {reason}", self.folded)
