"""What a run begins with: which model, which preset, which parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from playground.domain.errors import BadInput
from playground.domain.params import parse_assignment
from playground.domain.sampling import SamplingParams
from playground.services.presets import Preset

DEFAULT_PRESET = "balanced"


def find_preset(presets: Mapping[str, Preset], name: str) -> Preset:
    """A preset by name, whatever its case. Raises BadInput with the nearest names."""
    by_name = {known.casefold(): preset for known, preset in presets.items()}
    found = by_name.get(name.strip().casefold())
    if found is None:
        near = get_close_matches(name.casefold(), by_name, n=1)
        guess = f"Did you mean {by_name[near[0]].name!r}?" if near else f"There are: {', '.join(sorted(presets))}."
        raise BadInput(f"There is no preset {name!r}.", guess)
    return found


def starting_params(preset: Preset | None, assignments: Iterable[str] = ()) -> SamplingParams:
    """The preset's parameters with `name=value` assignments on top. Raises BadInput with the reason."""
    params = preset.apply(SamplingParams()) if preset else SamplingParams()
    for assignment in assignments:
        params = parse_assignment(params, assignment)
    return params
