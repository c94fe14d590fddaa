"""What tells the replies of a sweep from each other, in a few words: "temperature 1.2 · sample 3"."""

from __future__ import annotations

import itertools
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from playground.domain.param_specs import SPECS
from playground.domain.sampling import SamplingParams
from playground.services.history_rows import BROKEN

if TYPE_CHECKING:
    from playground.domain.experiments import Cell, Sweep

_OWN: Final = frozenset({"seed", "max_tokens", "top"})
"""Parameters that no sweep varies; the seed is that of the sample."""


def label_of(preset: str, values: Mapping[str, float], sample: int | None) -> str:
    """The words; what is empty or None is the same in all replies."""
    parts = [preset, *(f"{name} {value:g}" for name, value in values.items())]
    return " · ".join(part for part in (*parts, f"sample {sample}" if sample is not None else "") if part)


def cell_label(sweep: Sweep, cell: Cell) -> str:
    """Of a reply that a sweep has just written. Prompt and model stand beside it and are not in it."""
    own = sweep.settings[cell.setting]
    presets = {setting.preset for setting in sweep.settings}
    return label_of(own.preset if len(presets) > 1 else "", own.values, cell.sample if sweep.samples > 1 else None)


# -- replies that were kept without ------------------------------------------------------------------------------------


class _Kept(NamedTuple):
    """A reply of a sweep."""

    run: int
    preset: str
    params: SamplingParams


class _Read(msgspec.Struct):
    """What is read of a turn."""

    params: SamplingParams | None = None


_decode: Final = msgspec.msgpack.Decoder(_Read).decode
_OF_SWEEPS: Final = """
    SELECT runs.batch, runs.id, runs.preset, turns.data FROM runs JOIN turns USING (tree, turn)
    WHERE runs.batch != '' ORDER BY runs.batch, runs.id
"""


def label_sweeps(connection: sqlite3.Connection) -> None:
    """Put labels to all replies of sweeps, by what is different among them. Belongs inside a transaction.

    A reply that cannot be read stays without.
    """
    rows = connection.execute(_OF_SWEEPS)
    for _, group in itertools.groupby(rows, key=lambda row: row[0]):
        connection.executemany("UPDATE runs SET label = ? WHERE id = ?", _labels(list(_read(group))))


def _read(rows: Iterable[tuple[str, int, str, bytes]]) -> Iterator[_Kept]:
    for _, run, preset, data in rows:
        try:
            params = _decode(zlib.decompress(data)).params
        except BROKEN:
            continue
        if params is not None:
            yield _Kept(run, preset, params)


def _labels(replies: list[_Kept]) -> Iterator[tuple[str, int]]:
    """Labels and whom they belong to."""
    presets = {reply.preset for reply in replies}
    seeds = {reply.params.seed for reply in replies if reply.params.seed is not None}
    varied = [name for name in SPECS if name not in _OWN and _differs(name, replies)]
    for reply in replies:
        values = {name: getattr(reply.params, name) for name in varied}
        seed = reply.params.seed
        sample = seed - min(seeds) + 1 if len(seeds) > 1 and seed is not None else None
        yield label_of(reply.preset if len(presets) > 1 else "", values, sample), reply.run


def _differs(name: str, replies: list[_Kept]) -> bool:
    """Presets differ in much, which their names say: what counts is what differs under one of them."""
    pairs = {(reply.preset, getattr(reply.params, name)) for reply in replies}
    return len(pairs) > len({preset for preset, _ in pairs})
