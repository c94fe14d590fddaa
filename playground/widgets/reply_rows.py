"""Rows below the sliders: the order of the stages, and what else shapes a reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Label

from playground.domain.biases import NO_NAMES, describe_biases
from playground.domain.sampling import SamplingParams
from playground.widgets.explained import Explained
from playground.widgets.order_list import OrderList
from playground.widgets.rows import ActionRow, SeedRow

ROW_HELP: Final = {
    "order": "The stages run from top to bottom. Shift+up and shift+down move one, space leaves it out or puts it "
    "back.\nA dim stage is at its off value and does nothing.",
    "seed": "The same seed and parameters give the same reply. Empty: a fresh seed each run.",
    "stop": "Strings that end the reply. They are not part of it.",
    "logit_bias": "Tokens made likelier or less likely, or banned. In the list of candidates, b bans one, + and - "
    "bend it.",
    "grammar": "What the reply may be, as a grammar (GBNF) or a JSON schema. Alt+Y edits it.",
    "ignore_eos": "Obeyed: the reply ends where the model ends it. Ignored: it goes on to the length limit.",
}
"""By the parameter of the row."""


class ReplyRows(Vertical):
    """A row a parameter that is no number on a scale."""

    DEFAULT_CSS = """
    ReplyRows {
        height: auto;
        & > .reply-rows--heading { height: 1; margin: 1 0 0 0; padding: 0 1; color: $text-muted; }
    }
    """

    def compose(self) -> ComposeResult:
        """Two groups with a heading each."""
        yield self._heading("order", "order of the stages")
        yield OrderList(id="controls-order")
        yield self._heading("reply", "the reply")
        yield SeedRow(id="controls-seed")
        yield ActionRow("stop", id="controls-stop")
        yield ActionRow("logit bias", id="controls-logit_bias")
        yield ActionRow("grammar", id="controls-grammar")
        yield ActionRow("end token", id="controls-ignore_eos")

    def _heading(self, name: str, text: str) -> Label:
        return Label(text, id=f"reply-rows-{name}", classes="reply-rows--heading", markup=False)

    def on_mount(self) -> None:
        """Say what the rows are for."""
        for name, row in self._rows().items():
            row.explain(ROW_HELP[name])

    def _rows(self) -> dict[str, Explained]:
        return {name: self.query_one(f"#controls-{name}", Explained) for name in ROW_HELP}

    def show(self, params: SamplingParams, defaults: SamplingParams, names: Mapping[str, str] = NO_NAMES) -> None:
        """Show other values.

        Args:
            params: The parameters in force.
            defaults: What the preset says.
            names: Texts of tokens by "#id", for the logit bias.
        """
        self.query_one(OrderList).show(params, defaults.order)
        self.query_one(SeedRow).show(params.seed)
        self.query_one("#controls-stop", ActionRow).show(", ".join(f'"{text}"' for text in params.stop) or "none")
        count = len(params.logit_bias)
        bias = describe_biases(params.logit_bias, names)
        self.query_one("#controls-logit_bias", ActionRow).show(f"{count}: {bias}" if count > 1 else bias)
        held = "JSON schema" if params.json_schema else "GBNF" if params.grammar else "off"
        self.query_one("#controls-grammar", ActionRow).show(held, changed=held != "off")
        self.query_one("#controls-ignore_eos", ActionRow).show("ignored" if params.ignore_eos else "obeyed")

    def set_available(self, reasons: Mapping[str, str], *, folded: bool) -> None:
        """Say which parameters are not available, and why; `folded` takes their rows away."""
        rows = self._rows()
        for name, row in rows.items():
            row.set_unavailable(reasons.get(name, ""))
            row.display = not (folded and row.reason)
        order = rows.pop("order")
        self.query_one("#reply-rows-order").display = order.display
        self.query_one("#reply-rows-reply").display = any(row.display for row in rows.values())
