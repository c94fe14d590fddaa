"""Biases and bans of single tokens, and what the reply is held to: a grammar or a JSON schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from playground.domain.biases import BAN, amount_text, bias_key, token_name, with_ban, with_step
from playground.domain.display import display_text, visible_piece
from playground.domain.errors import BadInput, PlaygroundError, RunFailed, Superseded, Unsupported
from playground.domain.messages import RawPrompt
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Candidate, Token
from playground.domain.what_if import WhatIfRequest
from playground.screens.pane import Pane

if TYPE_CHECKING:
    from playground.screens.grammar_dialog import Constraint
    from playground.screens.grammar_examples import Kind
    from playground.screens.token_screen import TokenScreen


class Bending:
    """Changes the logit bias from the tokens on screen, and edits the grammar."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen
        self._names: dict[str, dict[str, str]] = {}
        """By model, texts of the tokens that were bent, by "#id"."""
        self._texts: dict[Kind, str] = {"grammar": "", "json_schema": ""}
        """What was edited last: a text that is not in force is not lost."""
        self._last: Kind = "grammar"

    # -- biases ------------------------------------------------------------------------------------------------

    def ban(self) -> None:
        """Ban the token under the cursor, or the last one of the reply; allow it again if it is banned."""
        screen = self._screen
        view = screen.pane.transcript.view
        ref = view.store.refs[view.cursor] if view.cursor is not None else None
        token = screen.pane.transcript.token_at(ref) or screen.pane.last_token()
        if token is not None:
            self._bend(token, partial(with_ban, token=token))

    def bend(self, candidate: Candidate, amount: float | None) -> None:
        """Add to a candidate's logit; None bans it, or allows it again."""
        change = partial(with_ban, token=candidate) if amount is None else partial(_step, candidate, amount)
        self._bend(candidate, change)

    def _bend(self, token: Candidate | Token, change: Callable[[Mapping[str, float]], dict[str, float]]) -> None:
        screen = self._screen
        try:
            for pane in self._panes():
                params = _wanted(pane)
                self._check_takes(pane, "logit_bias")
                self._learn(pane, token, bias_key(params.logit_bias, token))
                bias = change(params.logit_bias)
                pane.tuning.change(pane.session.params, {"logit_bias": bias})
                if pane is screen.pane:
                    self._tell_first(token, params.logit_bias, bias)
        except PlaygroundError as error:
            screen.tell(error)

    def _tell_first(self, token: Candidate | Token, before: Mapping[str, float], after: Mapping[str, float]) -> None:
        """Say of a token that is bent for the first time, or banned, how long that holds."""
        key = bias_key(after, token)
        if key in after and (key not in before or BAN in (after[key], before[key])):
            name, ends = token_name(key, self._names_of(self._screen.pane)), "b allows it again"
            if after[key] != BAN:
                name, ends = f"{name} {amount_text(after[key])}", "- and + take it back"
            else:
                name += " is banned"
            self._screen.notify(f"{name} in this and all further replies; {ends}.", timeout=4, markup=False)

    def _panes(self) -> list[Pane]:
        """The active pane; with linked sliders also those of the same model, for ids mean nothing to another one."""
        screen, pane = self._screen, self._screen.pane
        if not screen.linked or pane.card is None:
            return [pane]
        return [other for other in screen.all_panes if other.card is not None and other.card.id == pane.card.id]

    def _check_takes(self, pane: Pane, name: str) -> None:
        able = pane.need_model().capabilities
        if name not in able.params:
            what = name.replace("_", " ").replace("json", "JSON")
            raise Unsupported(f"{pane.name} takes no {what}.", able.why_not(name))

    def _learn(self, pane: Pane, token: Candidate | Token, key: str) -> None:
        if key.startswith("#"):
            name = token.special if isinstance(token, Token) else ""
            self._names_of(pane)[key] = display_text(name) or visible_piece(token.piece)

    def _names_of(self, pane: Pane) -> dict[str, str]:
        return self._names.setdefault(pane.card.id if pane.card is not None else "", {})

    def edit_biases(self) -> None:
        """Write the logit bias line by line; what is no token of the model that is loaded is refused there."""
        self._screen.attempt_later(self._edit_biases, "logit bias", exclusive=True)

    async def _edit_biases(self) -> None:
        screen, pane = self._screen, self._screen.pane
        params = _wanted(pane)
        await self._learn_ids(pane, params.logit_bias)
        pane.tuning.edit_list(screen, "logit_bias", params, self._names_of(pane), partial(self._confirm, pane))

    async def _confirm(self, pane: Pane, bias: Mapping[str, float]) -> None:
        """Raise BadInput for what is no token. Models that cannot be asked say so when it is sent."""
        backend = pane.runner.backend
        if backend is None or not bias or not backend.capabilities.what_if:
            return
        try:
            params = SamplingParams(logit_bias=dict(bias))
            await backend.what_if(WhatIfRequest(prompt=RawPrompt("\n"), params=params, asker=id(self)))
        except (RunFailed, Superseded):
            return  # nothing is wrong with the bias
        await self._learn_ids(pane, bias)

    async def _learn_ids(self, pane: Pane, bias: Mapping[str, float]) -> None:
        """Find out the texts of tokens that are given by their ids, where the model can tell."""
        backend, names = pane.runner.backend, self._names_of(pane)
        ids = [int(key[1:]) for key in bias if key[:1] == "#" and key[1:].isdecimal() and key not in names]
        if not ids or backend is None or not backend.capabilities.what_if:
            return
        try:
            pieces = (await backend.view_prompt(RawPrompt(""), ids)).pieces[-len(ids) :]
        except PlaygroundError:
            return  # an id that this model does not have: whoever puts it in force says so
        names.update({f"#{token}": visible_piece(piece) for token, piece in zip(ids, pieces, strict=True)})

    def show(self) -> None:
        """Name and mark the tokens that are bent in the active pane."""
        from playground.widgets.candidates import CandidateList

        screen, pane = self._screen, self._screen.pane
        for other in screen.all_panes:
            other.session.token_names = self._names_of(other)
        screen.controls.name_tokens(pane.session.token_names)
        screen.inspector.query_one(CandidateList).show_bias(pane.session.params.logit_bias)

    # -- grammar and JSON schema -------------------------------------------------------------------------------

    def edit_grammar(self) -> None:
        """Edit the grammar or the JSON schema that the reply is held to."""
        from playground.screens.grammar_dialog import KINDS, GrammarDialog

        screen, pane = self._screen, self._screen.pane
        params = _wanted(pane)
        able = pane.runner.backend.capabilities if pane.runner.backend is not None else None
        reasons = {kind: able.why_not(kind) for kind in KINDS if able is not None and kind not in able.params}
        held = bool(params.grammar or params.json_schema)
        if len(reasons) == len(KINDS) and not held:
            screen.tell(Unsupported(f"{pane.name} cannot be held to a grammar.", reasons["json_schema"]))
            return
        if held:
            self._last = "json_schema" if params.json_schema else "grammar"
            self._texts[self._last] = params.json_schema or params.grammar
        elif self._last in reasons:
            self._last = next(kind for kind in KINDS if kind not in reasons)
        live = pane.session.busy and able is not None and able.live_params
        when = "with the next token, if what is written so far fits it" if live else "with the next reply"

        def accepted(constraint: Constraint | None) -> None:
            if constraint is not None:
                self._accept(pane, constraint)

        screen.app.push_screen(GrammarDialog(self._texts, self._last, reasons, when), accepted)

    def _accept(self, pane: Pane, constraint: Constraint) -> None:
        screen, self._last = self._screen, constraint.kind
        if constraint.text:
            self._texts[constraint.kind] = constraint.text
        for one in screen.all_panes if screen.linked else (pane,):
            screen.attempt_later(partial(self._hold, one, constraint), f"hold {id(one)}", exclusive=True)

    async def _hold(self, pane: Pane, constraint: Constraint) -> None:
        """Put it in force; where a reply that is being written does not fit, once that has ended."""
        screen, changes = self._screen, {"grammar": "", "json_schema": "", constraint.kind: constraint.text}
        pane.tuning.change(pane.session.params, changes)
        try:
            await screen.take_change(pane)
        except BadInput as error:
            if not pane.session.busy:
                raise
            title = "It waits for the end of this reply"
            screen.notify(display_text(error.message), title=title, severity="warning", markup=False)
            await pane.runner.settle()
            pane.tuning.change(pane.session.params, changes)


def _step(candidate: Candidate, amount: float, bias: Mapping[str, float]) -> dict[str, float]:
    return with_step(bias, candidate, amount)


def _wanted(pane: Pane) -> SamplingParams:
    """Parameters with what waits for the next frame."""
    return pane.tuning.pending or pane.session.params
