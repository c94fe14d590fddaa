"""One run: a prompt being computed, then tokens being chosen."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Final

import psutil

from playground.domain.events import Event, Finished, ParamsChanged, PromptProgress, Started, StopReason, TokenGenerated
from playground.domain.messages import GenerationRequest, PromptView
from playground.domain.sampling import SamplingParams, changed_fields
from playground.domain.stop_strings import StopMatch, StopStrings
from playground.domain.tokens import Candidate, Token
from playground.domain.usage import Timings, Usage, percentile
from playground.engine.capture import Distribution
from playground.engine.libllama import Logits
from playground.engine.model import LoadedModel
from playground.engine.samplers import Choice, SamplerChain
from playground.engine.sequences import Slot
from playground.engine.speculative import Guesser, why_not
from playground.engine.watch import WatchList

_PREFILL: Final = 16
"""With fewer tokens to compute than these, their speed says nothing about prefill, which is fast by its width."""

Emit = Callable[[Event], None]


class Stream:
    """The state of one run inside the engine. Times are `time.monotonic()` seconds."""

    def __init__(
        self, model: LoadedModel, request: GenerationRequest, prompt: PromptView, seed: int, emit: Emit
    ) -> None:
        self.id = request.stream
        self.params = request.params
        self.prompt = prompt
        self._model = model
        self._emit = emit
        self._seed = seed
        self._first_index = len(request.reply_ids)
        self._submitted_at = request.submitted_at or time.monotonic()
        self._bias = model.bias_ids(request.params.logit_bias)
        self._watch = WatchList(model, request.watch)
        self._changes = list(request.changes)
        self._given = request.reply_ids
        """What the reply began with."""
        self.sampler = SamplerChain(
            model.vocabulary,
            request.params,
            seed=seed,
            bias=self._bias,
            history=prompt.ids,
            written=request.reply_ids,
        )
        self._stops = StopStrings(request.params.stop)
        self.slot: Slot | None = None
        self.pending: list[int] = []
        """Tokens that are not in the cache yet: the rest of the prompt, or the last token chosen."""
        self.generated: list[int] = []
        self.draft: list[int] = []
        """Tokens guessed to follow the pending one, in the batch being decoded."""
        self.may_guess = True
        self._guesser: Guesser | None = None
        self.row = 0
        """Where this stream's last token is in the batch being decoded."""
        before = [name for name, control in map(model.pieces.__getitem__, request.reply_ids) if not control]
        self._reply = bytearray(b"".join(before))
        self._stopped_by: StopMatch | None = None
        self._cached = 0
        self._prefill_started_at = 0.0
        self._prefill_s = 0.0
        self._times: list[float] = []
        self.prefilling = True
        """Until the first token is chosen."""

    def start(self, slot: Slot, cached: int) -> None:
        """Take a sequence in which `cached` tokens of the prompt are there already."""
        self.slot = slot
        self._cached = cached
        self.pending = list(self.prompt.ids[cached:])
        self._prefill_started_at = time.monotonic()
        unable = why_not(self._model.info) if self.params.speculate else ""
        self._emit(
            Started(
                stream=self.id,
                prompt_tokens=len(self.prompt.ids),
                cached_tokens=cached,
                params=self.params,
                seed=self._seed,
                parts=self.prompt.parts,
                watching=self._watch.words,
                note=f"{self.prompt.note} {unable}".strip(),
            )
        )

    def restart(self) -> None:
        """The sequence was emptied under the stream: everything has to be computed again."""
        self.pending = [*self.prompt.ids, *self.generated]

    def decoded(self, count: int) -> None:
        """The first `count` pending tokens are in the cache now."""
        assert self.slot is not None
        if count == len(self.pending):
            self.slot.ids += self.pending
            self.pending = []
        else:
            self.slot.ids += self.pending[:count]
            del self.pending[:count]
        if self.prefilling:
            computed = len(self.prompt.ids) - self._cached
            self._emit(PromptProgress(stream=self.id, done=computed - len(self.pending), total=computed))

    def guess(self, room: int) -> None:
        """Guess what follows the pending token, `room` tokens at most."""
        self.draft = []
        if not (self.params.speculate and self.may_guess and self.slot and self._model.info.can_cut):
            return
        if len(self.pending) != 1:
            return
        if self._guesser is None:
            self._guesser = Guesser([*self.prompt.ids, *self.generated])
        room = min(room, self.params.speculate, self._model.context.n_ctx - len(self.slot.ids) - 1)
        if self.params.max_tokens >= 0:
            room = min(room, self.params.max_tokens - len(self.generated) - 1)
        if room > 0:
            self.draft = self._guesser.guess(room)

    def sample_draft(self, distribution: Distribution, cut: Callable[[Slot, int], bool]) -> StopReason | None:
        """Choose tokens as long as the guess is right, and the one behind it; the reason when the reply ends with one.

        What was wrong of the guess is taken out of the cache by `cut`.
        """
        assert self.slot is not None
        draft, self.draft = self.draft, []
        first = self.row - len(draft)
        self.decoded(1)
        kept = len(self.slot.ids)
        self.slot.ids += draft
        right, reason = 0, None
        try:
            for guess in (*draft, None):
                reason = self.sample(self._model.context.logits(first + right), distribution, guess)
                hit = self.generated[-1] == guess
                right += hit
                if reason is not None or not hit:
                    break
        finally:
            cut(self.slot, kept + right)
            if self._guesser is not None:
                self._guesser.learn(len(draft), right)
        return reason

    def set_params(self, params: SamplingParams) -> None:
        """Put other parameters in force from the next token on.

        Raises BadInput for a bias that is no token, and for a grammar that the reply so far does not fit.
        """
        changed = tuple(changed_fields(self.params, params))
        if not changed:
            return
        bias = self._model.bias_ids(params.logit_bias)
        written = [*self._given, *self.generated]
        self.sampler.configure(params, bias, [*self.prompt.ids, *self.generated], written)
        self._bias, self.params = bias, params
        self._stops = StopStrings(params.stop)
        index = self._first_index + len(self.generated)
        self._emit(ParamsChanged(stream=self.id, index=index, params=params, changed=changed))

    def sample(self, logits: Logits, distribution: Distribution, guess: int | None = None) -> StopReason | None:
        """Choose the next token from its logits and report it; the reason when the reply ends with it.

        A token that equals the `guess` is marked as one that was guessed.
        """
        while self._changes and self._changes[0][0] <= self._first_index + len(self.generated):
            self.set_params(self._changes.pop(0)[1])
        if self.params.max_tokens == 0:
            return StopReason.LENGTH
        distribution.read(logits, self.sampler.wanted)
        choice = self.sampler.choose(distribution, self.params.top, self._watch.ids)
        self.sampler.accept(choice.token)
        now = time.monotonic()
        if self.prefilling:
            self._prefill_s = now - self._prefill_started_at
            self.prefilling = False
        self._times.append(now)
        token = self._token(choice, distribution, now, drafted=choice.token == guess)
        self.generated.append(choice.token)
        if self._guesser is not None:
            self._guesser.add(choice.token)
        self.pending = [choice.token]
        self._reply += token.piece
        self._emit(TokenGenerated(stream=self.id, token=token))
        if self._model.is_end(choice.token):
            return StopReason.STOP
        self._stopped_by = self._stops.find(self._reply, len(token.piece))
        if self._stopped_by:
            return StopReason.STOP_STRING
        if 0 <= self.params.max_tokens <= len(self.generated):
            return StopReason.LENGTH
        if len(self.prompt.ids) + len(self.generated) >= self._model.context.n_ctx:
            return StopReason.CONTEXT
        return None

    def _token(self, choice: Choice, distribution: Distribution, now: float, *, drafted: bool) -> Token:
        chosen, prob, cut_by = choice.token, choice.prob, choice.cut_by
        top, top_logits = choice.top, choice.top_logits
        if chosen in top:
            logit = top_logits[top.index(chosen)]
            rank = 1 + sum([other > logit for other in top_logits])
        else:
            logit = float(distribution.logits[chosen])
            rank = distribution.rank(chosen)
            top.append(chosen)
            top_logits.append(logit)
        pieces, log_sum = self._model.pieces, distribution.log_sum
        candidates = []
        for token, candidate_logit in zip(top, top_logits, strict=True):
            name, control = pieces[token]
            logprob = candidate_logit - log_sum
            candidates.append(Candidate(token, name, logprob, prob.get(token, 0.0), control, cut_by.get(token, -1)))
        name, control = pieces[chosen]
        return Token(
            index=self._first_index + len(self.generated),
            id=chosen,
            piece=b"" if control else name,
            logprob=logit - log_sum,
            prob=prob[chosen],
            rank=rank,
            entropy=distribution.entropy_bits(),
            top=tuple(candidates),
            stages=choice.stages,
            time_ms=(now - self._submitted_at) * 1000,
            watched=self._watch.figures(distribution, choice),
            special=name.decode("utf-8", "replace") if control else "",
            drafted=drafted,
        )

    def finish(self, reason: StopReason) -> None:
        """Report the end of the reply and give the samplers' memory back."""
        match = self._stopped_by
        trimmed = match.trimmed_bytes if match else 0
        reply = bytes(self._reply[: len(self._reply) - trimmed])
        self._emit(
            Finished(
                stream=self.id,
                reason=reason,
                text=reply.decode("utf-8", errors="replace"),
                usage=Usage(
                    prompt_tokens=len(self.prompt.ids),
                    cached_tokens=self._cached,
                    completion_tokens=len(self.generated),
                    drafted_tokens=self._guesser.drafted if self._guesser else None,
                    accepted_tokens=self._guesser.accepted if self._guesser else None,
                    cost=0.0,
                ),
                timings=self._timings(),
                trimmed_bytes=trimmed,
                stop_string=match.text if match else "",
            )
        )
        self.sampler.free()

    def _timings(self) -> Timings:
        times = self._times
        gaps = [(later - earlier) * 1000 for earlier, later in pairwise(times)]
        spent = times[-1] - times[0] if times else 0.0
        computed = len(self.prompt.ids) - self._cached
        return Timings(
            ttft_ms=(times[0] - self._submitted_at) * 1000 if times else None,
            prefill_ms=self._prefill_s * 1000 if times else None,
            prefill_tokens_per_second=computed / self._prefill_s if computed >= _PREFILL and self._prefill_s else None,
            tokens_per_second=(len(times) - 1) / spent if spent > 0 else None,
            inter_token_p50_ms=percentile(gaps, 0.5),
            inter_token_p95_ms=percentile(gaps, 0.95),
            total_ms=(time.monotonic() - self._submitted_at) * 1000,
            memory_bytes=psutil.Process().memory_info().rss,
        )
