"""Sequences of the KV cache: who uses which, what each one holds, and what a new prompt can reuse.

A finished sequence stays as it is, so a follow-up turn finds its history computed. A prefix is cut to fit, or shared
with another sequence, where the model's memory allows; where it does not (recurrent, hybrid, sliding window), only an
exact continuation is reused and the rest is computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from playground.engine.libllama import Context
from playground.engine.model import LoadedModel


@dataclass(slots=True)
class Slot:
    """One sequence of the context."""

    sequence: int
    ids: list[int] = field(default_factory=list)
    """Tokens whose keys and values are in the cache, in order."""
    planned: tuple[int, ...] = ()
    """Tokens that will be there once the prefill under way is done."""
    busy: bool = False
    used_at: int = 0


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """How many leading ids are equal."""
    size = min(len(a), len(b))
    if size == 0:
        return 0
    differs = np.flatnonzero(np.array(a[:size], np.int32) != np.array(b[:size], np.int32))
    return int(differs[0]) if len(differs) else size


class SequencePool:
    """Hands out sequences, reusing what is cached."""

    def __init__(self, model: LoadedModel, size: int) -> None:
        self._context: Context = model.context
        self._swa = model.swa
        self._copies = model.info.can_cut
        self._exact_only = model.info.memory_kind in ("recurrent", "hybrid")
        self.slots = [Slot(sequence) for sequence in range(size)]
        self._clock = count(1)

    @property
    def room(self) -> bool:
        """True while a sequence is free."""
        return any(not slot.busy for slot in self.slots)

    def awaited(self, ids: Sequence[int]) -> bool:
        """True when a prefill under way will soon hold more of this prompt than is cached now."""
        if not self._copies:
            return False
        now = max((common_prefix(slot.ids, ids) for slot in self.slots), default=0)
        soon = max((common_prefix(slot.planned, ids) for slot in self.slots if slot.planned), default=0)
        return min(soon, len(ids) - 1) > now

    def acquire(self, ids: Sequence[int]) -> tuple[Slot, int] | None:
        """A sequence for a prompt and how many of its tokens are cached already; None when all are busy.

        At least one token is left to compute: the logits of the last one are needed.
        """
        idle = [slot for slot in self.slots if not slot.busy]
        if not idle:
            return None
        reusable = [(self._reusable(slot, ids), slot) for slot in self.slots if self._copies or not slot.busy]
        cached, best = max(reusable, key=lambda pair: (pair[0], -len(pair[1].ids)))
        # Going on in place would lose what the sequence holds behind the prefix: share it when that is most of it.
        if best.busy or (self._copies and cached < len(best.ids) // 2 and any(not slot.ids for slot in idle)):
            target = min((slot for slot in idle if slot is not best), key=lambda s: (len(s.ids) > 0, s.used_at))
            self.clear(target)
            if cached:
                self._context.copy(best.sequence, target.sequence, cached)
                target.ids = list(best.ids[:cached])
            best = target
        elif not cached:
            best = min(idle, key=lambda slot: (len(slot.ids) > 0, slot.used_at))
            self.clear(best)
        else:
            self.cut(best, cached)
        best.busy, best.used_at, best.planned = True, next(self._clock), tuple(ids)
        return best, len(best.ids)

    def _reusable(self, slot: Slot, ids: Sequence[int]) -> int:
        shared = min(common_prefix(slot.ids, ids), len(ids) - 1)
        if self._exact_only:
            return shared if shared == len(slot.ids) else 0
        if self._swa and shared < len(slot.ids):
            # The window has dropped old cells; going on needs those the next token still sees.
            kept = self._context.first_position(slot.sequence)
            return shared if 0 <= kept <= max(0, shared - self._swa) else 0
        return shared

    def shareable(self, ids: Sequence[int], most: int) -> int:
        """How many leading tokens, `most` at the utmost, another sequence could share with one of these."""
        if not self._copies:
            return 0
        return min(most, max((common_prefix(slot.ids, ids) for slot in self.slots), default=0))

    def share(self, ids: Sequence[int], most: int, target: int) -> list[int]:
        """Let the empty sequence `target`, which is none of these, share what it can; the tokens it holds then."""
        length = self.shareable(ids, most)
        if length:
            source = max(self.slots, key=lambda slot: common_prefix(slot.ids, ids))
            self._context.copy(source.sequence, target, length)
        return list(ids[:length])

    def cut(self, slot: Slot, length: int) -> bool:
        """Keep the first `length` tokens of a sequence. False: the memory cannot do that, the sequence is now empty."""
        if length >= len(slot.ids) and self._context.remove(slot.sequence, len(slot.ids)):
            return True
        if length and self._context.remove(slot.sequence, length):
            del slot.ids[length:]
            return True
        self.clear(slot)
        return length == 0

    def clear(self, slot: Slot) -> None:
        """Empty a sequence."""
        self._context.remove(slot.sequence, 0)
        slot.ids, slot.planned = [], ()

    def release(self, slot: Slot) -> None:
        """The stream is done; what the sequence holds stays for the next turn."""
        slot.busy, slot.planned = False, ()

    def evict(self) -> bool:
        """Empty the idle sequence that was used longest ago; False when there is none."""
        idle = [slot for slot in self.slots if not slot.busy and slot.ids]
        if not idle:
            return False
        self.clear(min(idle, key=lambda slot: slot.used_at))
        return True
