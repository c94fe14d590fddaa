"""Events as JSON objects, one a line: the machine-readable face of a run."""

from __future__ import annotations

from typing import Any, assert_never

import msgspec

from playground.domain.events import (
    Event,
    Failed,
    FellBack,
    Finished,
    ParamsChanged,
    PromptProgress,
    Retrying,
    Started,
    ThinkingGenerated,
    TokenGenerated,
)
from playground.domain.models import ModelCard, ModelInfo
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Candidate, TextDecoder, Token, piece_text


class JsonEvents:
    """Turns the events of one stream into dictionaries; `text` of a token is what became complete with it."""

    def __init__(self, model: ModelInfo | ModelCard | None) -> None:
        self._model = model
        self._decoder = TextDecoder()

    def convert(self, event: Event) -> dict[str, Any]:
        """One object, ready for a JSON encoder."""
        match event:
            case Started():
                return self._started(event)
            case PromptProgress():
                return {"event": "prompt", "done": event.done, "total": event.total}
            case TokenGenerated():
                return {"event": "token", **self._token(event.token)}
            case ParamsChanged():
                params = params_dict(event.params)
                return {"event": "params", "index": event.index, "changed": list(event.changed), "params": params}
            case ThinkingGenerated():
                return {"event": "thinking", "text": event.text, "time_ms": event.time_ms}
            case Retrying():
                problem = msgspec.to_builtins(event.problem)
                return {"event": "retrying", "attempt": event.attempt, "attempts": event.attempts, **problem}
            case FellBack():
                return {"event": "fell_back", "model": event.card.id, **msgspec.to_builtins(event.problem)}
            case Finished():
                return _finished(event)
            case Failed():
                return {"event": "failed", **msgspec.to_builtins(event.problem)}
            case _:
                assert_never(event)

    def _started(self, event: Started) -> dict[str, Any]:
        model = msgspec.to_builtins(self._model) if self._model else {}
        model.pop("chat_template", None)
        return {
            "event": "started",
            "model": model,
            "prompt_tokens": event.prompt_tokens,
            "cached_tokens": event.cached_tokens,
            "params": params_dict(event.params),
            "seed": event.seed,
            "note": event.note,
            "watching": [
                {
                    "word": word.word,
                    "id": word.id,
                    "text": piece_text(word.piece),
                    "bytes": list(word.piece),
                    "tokens": word.tokens,
                    "note": word.note,
                }
                for word in event.watching
            ],
        }

    def _token(self, token: Token) -> dict[str, Any]:
        return {
            "index": token.index,
            "id": token.id,
            "text": self._decoder.feed(token.piece),
            "bytes": list(token.piece),
            "special": token.special,
            "chunk": token.chunk,
            "drafted": token.drafted,
            "logprob": token.logprob,
            "prob": token.prob,
            "rank": token.rank,
            "entropy": token.entropy,
            "time_ms": token.time_ms,
            "top": [_candidate(candidate, token) for candidate in token.top],
            "stages": [msgspec.structs.asdict(stage) for stage in token.stages],
            "watched": [
                {"id": word.id, "before": word.before, "after": word.after, "cut_by": _stage(token, word.cut_by)}
                for word in token.watched
            ],
        }


def _candidate(candidate: Candidate, token: Token) -> dict[str, Any]:
    return {
        "id": candidate.id,
        "text": piece_text(candidate.piece),
        "bytes": list(candidate.piece),
        "logprob": candidate.logprob,
        "prob": candidate.prob,
        "cut_by": _stage(token, candidate.cut_by),
    }


def _stage(token: Token, index: int) -> str | None:
    """Name of the stage that removed something; None for what survived."""
    return token.stages[index].name if 0 <= index < len(token.stages) else None


def _finished(event: Finished) -> dict[str, Any]:
    return {
        "event": "finished",
        "reason": str(event.reason),
        "detail": event.detail,
        "text": event.text,
        "stop_string": event.stop_string,
        "usage": msgspec.to_builtins(event.usage),
        "timings": msgspec.to_builtins(event.timings),
    }


def params_dict(params: SamplingParams) -> dict[str, Any]:
    """Every parameter with its value, those at their default included; infinities as text, which JSON lacks."""
    values: dict[str, Any] = {name: getattr(params, name) for name in SamplingParams.__struct_fields__}
    values["logit_bias"] = {
        token: "-inf" if bias == float("-inf") else bias for token, bias in params.logit_bias.items()
    }
    return values
