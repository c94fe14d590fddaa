"""How likely the model finds a text, and what other parameters would have made of a reply: passes over known tokens."""

from __future__ import annotations

from typing import Final

from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.messages import RawPrompt
from playground.domain.params import check
from playground.domain.scoring import ScoreRequest, sum_up
from playground.domain.tokens import Token
from playground.domain.what_if import Known, Replay, Replayed, ReplayRequest, Verdict
from playground.engine.bending import Bending, Throw, unsure_stages
from playground.engine.capture import Distribution
from playground.engine.continuation import continue_text
from playground.engine.libllama import Logits
from playground.engine.model import LoadedModel
from playground.engine.passes import Progress, Tell, Told
from playground.engine.pinning import pinned
from playground.engine.prompt import build_prompt
from playground.engine.score_rows import RowReader, RowWriter
from playground.engine.token_record import record_token

_ROUNDING: Final = 0.4
"""Nats by which a logprob may differ when many positions are computed at once: on a small quantised model half of 700
tokens moved by less than 0.024, one in ten by more than 0.10, and none by more than 0.37."""
_NO_MATTER: Final = ("logit_bias", "grammar", "xtc")
"""Stages that remove a token whether it is a little likelier or not; XTC does so because it is likely."""


class ScorePass(Told):
    """Scores the tokens of a text from one of them on.

    Raises BadInput, TemplateError when there is nothing to score or no prompt to be made.
    """

    def __init__(self, model: LoadedModel, request: ScoreRequest, tell: Tell, progress: Progress) -> None:
        ids, start, self._note = _tokens(model, request)
        if start >= len(ids):
            raise BadInput("There is no text to score.", "Give at least one token.")
        # The logits of a token tell what follows it. Those of the last one are about a token that is not there.
        super().__init__(ids[:-1] or ids, max(0, start - 1), tell, progress)
        self.unread = len(ids) - len(self.ids)
        self._model = model
        self._all = ids
        self._start = start
        self._top = request.top
        self._distribution = Distribution(model.info.n_vocab)
        self._tokens: list[Token] = []
        self._divergences: list[float | None] = []
        self._writer: RowWriter | None = None
        self._reader: RowReader | None = None
        self._request = request
        if start == 0:
            self._divergences.append(None)
            name, control = model.pieces[ids[0]]
            special = name.decode("utf-8", "replace") if control else ""
            self._tokens.append(Token(0, ids[0], b"" if control else name, None, None, None, None, special=special))

    def read(self, position: int, logits: Logits) -> None:
        """See Pass."""
        if position + 1 >= len(self._all):
            return
        index = position + 1 - self._start
        self._distribution.read(logits, 0)  # `top` finds a few tokens sooner than all that are near
        top, _ = self._distribution.top(self._top)
        self._tokens.append(record_token(self._model, self._distribution, self._all[position + 1], top, index=index))
        self._divergences.append(self._whole_row(index, logits))

    def _whole_row(self, index: int, logits: Logits) -> float | None:
        """Keep the whole distribution, or compare it with the one that another model has left; see ScoreRequest."""
        if self._request.keep is not None:
            if self._writer is None:
                self._writer = RowWriter(self._model, self._request.keep, len(self._all) - self._start)
            self._writer.keep(index, logits)
        if not self._request.against:
            return None
        if self._reader is None:
            self._reader = RowReader(self._model, self._request.against)
        return self._reader.divergence(index, logits, self._distribution.log_sum)

    def finish(self) -> None:
        """See Pass."""
        again = self.cached == 0 and self.first > 0 and not self._model.info.can_cut
        note = self._note
        if len(self._all) == 1:
            note = f"{note} One token has nothing before it to be scored by: give a longer text.".strip()
        missing = [one.why_not for one in (self._writer, self._reader) if one is not None and one.why_not]
        told = () if self._reader is None or self._reader.why_not else tuple(self._divergences)
        self._close(discard=False)
        self.tell(
            sum_up(
                self._tokens,
                model=self._model.info.short_name,
                recomputed=again,
                note=note,
                divergences=told,
                no_rows=" ".join(missing),
            )
        )

    def fail(self, error: PlaygroundError) -> None:
        """See Pass."""
        self._close(discard=True)
        super().fail(error)

    def dropped(self) -> None:
        """See Pass."""
        self._close(discard=True)

    def _close(self, *, discard: bool) -> None:
        if self._writer is not None:
            self._writer.close(discard=discard)
        if self._reader is not None:
            self._reader.close()


def _tokens(model: LoadedModel, request: ScoreRequest) -> tuple[tuple[int, ...], int, str]:
    """All tokens, the first one to report on, and what is to be said about them."""
    ids, start, note = _all_tokens(model, request)
    if 0 < request.most < len(ids):
        note = f"{note} Only the first {request.most:,} of {len(ids):,} tokens were looked at.".strip()
        ids = ids[: request.most]
    return ids, start, note


def _all_tokens(model: LoadedModel, request: ScoreRequest) -> tuple[tuple[int, ...], int, str]:
    if request.ids:
        build_prompt(model, RawPrompt(""), request.ids)  # checks the ids
        return request.ids, request.context, ""
    if isinstance(request.prompt, RawPrompt) and not request.parse_special:
        build_prompt(model, RawPrompt(""), request.reply_ids)  # checks the ids
        note, begin = "", tuple(model.tokenize(request.prompt.text, special=False, begin=True))
        ids = (*begin, *request.reply_ids)
    else:
        view = build_prompt(model, request.prompt, request.reply_ids)
        note, ids = view.note, view.ids
    prompt = len(ids) - len(request.reply_ids)
    if request.reply_text:
        reply = continue_text(model, ids, request.reply_text)
        ids = (*ids, *reply.ids)
    return ids, prompt if request.only_reply else 0, note


class ReplayPass(Told):
    """Looks at each token of a reply under other parameters.

    Raises BadInput, TemplateError when the parameters or the reply cannot be used.
    """

    def __init__(self, model: LoadedModel, request: ReplayRequest, tell: Tell, progress: Progress) -> None:
        check(request.params)
        prompt = build_prompt(model, request.prompt).ids
        ids = build_prompt(model, request.prompt, request.reply_ids).ids
        if not prompt or not request.reply_ids:
            raise BadInput("There is no reply to look at.", "Ask for one first.")
        super().__init__(ids[:-1], len(prompt) - 1, tell, progress)
        self.unread = 1
        self._model = model
        self._request = request
        self._bending = Bending(model, prompt)
        self._bending.configure(request.params)
        self._unsure = unsure_stages(request.params)
        self._outside = False
        """True behind a token that the grammar does not allow."""
        self._tokens: list[Replayed] = []

    def read(self, position: int, logits: Logits) -> None:
        """See Pass."""
        index = position - self.first
        token, recorded = self._request.reply_ids[index], self._request.recorded
        then = recorded[index] if index < len(recorded) else None
        if self._outside:  # the grammar does not allow what stands before, so it has nothing to say about this
            self._tokens.append(Replayed(index, token, Verdict.IMPOSSIBLE, then, 0.0, "grammar"))
            return
        known = self._request.known[index] if index < len(self._request.known) else ()
        logits = pinned(logits, known)
        self._bending.read(logits)
        told = _judge(index, token, then, self._bending.look(1, (token,)), self._unsure)
        if told.verdict is Verdict.IMPOSSIBLE and told.stage not in _NO_MATTER and not _ranked(token, known):
            told = self._judge_again(told, logits)
        self._tokens.append(told)
        self._outside = not self._bending.allows(token)
        if not self._outside:
            self._bending.accept(token)

    def _judge_again(self, told: Replayed, logits: Logits) -> Replayed:
        """Would the token be left if it were likelier by what rounding may have taken from it?"""
        logits = logits.copy()
        logits[told.id] += _ROUNDING
        self._bending.read(logits)
        better = _judge(told.index, told.id, told.then, self._bending.look(1, (told.id,)), self._unsure)
        if better.verdict is Verdict.IMPOSSIBLE:
            return told
        verdict = Verdict.UNSURE if better.verdict is Verdict.UNSURE else Verdict.POSSIBLE
        return Replayed(told.index, told.id, verdict, told.then, better.now, told.stage, near=True)

    def finish(self) -> None:
        """See Pass."""
        self._bending.free()
        tokens = self._tokens
        self.tell(
            Replay(
                tokens=tuple(tokens),
                params=self._request.params,
                first_open=next((one.index for one in tokens if one.verdict is not Verdict.CERTAIN), None),
                first_impossible=next((one.index for one in tokens if one.verdict is Verdict.IMPOSSIBLE), None),
                unsure=self._unsure,
                computed=len(self.ids) - self.cached,
                recomputed=self.cached == 0 and self.first > 0 and not self._model.info.can_cut,
            )
        )

    def fail(self, error: PlaygroundError) -> None:
        """See Pass."""
        self._bending.free()
        super().fail(error)

    def dropped(self) -> None:
        """See Pass."""
        self._bending.free()


def _judge(index: int, token: int, then: float | None, throws: list[Throw], unsure: tuple[str, ...]) -> Replayed:
    """A token is certain, or impossible, when it is so however chance falls."""
    now = sum(throw.chance * throw.prob(token) for throw in throws)
    if unsure:
        # The stages before the one that remembers do the same whatever it remembers.
        cut = throws[0].choice.cut_by.get(token, -1)
        stages = throws[0].choice.stages
        if 0 <= cut < len(stages) - 1:
            return Replayed(index, token, Verdict.IMPOSSIBLE, then, 0.0, stages[cut].name)
        return Replayed(index, token, Verdict.UNSURE, then, None, unsure[0])
    if all(throw.only(token) for throw in throws):
        return Replayed(index, token, Verdict.CERTAIN, then, 1.0)
    if now > 0.0:
        return Replayed(index, token, Verdict.POSSIBLE, then, now)
    choice = throws[-1].choice
    return Replayed(index, token, Verdict.IMPOSSIBLE, then, 0.0, choice.stages[choice.cut_by.get(token, -1)].name)


def _ranked(token: int, known: Known) -> bool:
    """True when the recorded figures tell which tokens are likelier than this one.

    The last one of them may have been put behind the best ones only because it was chosen.
    """
    return any(one == token for one, _ in known[:-1])
