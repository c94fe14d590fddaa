"""The program and its model's process, killed at random moments in real terminals. `killed` does it more often."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import median
from typing import Final

import pytest

from tests.e2e.killed import Killing
from tests.e2e.test_terminal import command, needs_tmux, use_tokens

pytestmark = [pytest.mark.terminal, needs_tmux, pytest.mark.usefixtures("starter_gguf")]
ROUNDS: Final = 20


@pytest.mark.timeout(600)
def test_killed_anywhere_the_history_opens_and_the_next_start_offers_to_go_on(tmp_path: Path) -> None:
    use_tokens(3000)
    killing = Killing(tmp_path, f"{command()} --preset short", random.Random(7))
    for number in range(1, ROUNDS + 1):
        killing.round(number)
    found = killing.found
    assert (found.starts, len(found.app)) == (ROUNDS // 5, ROUNDS - ROUNDS // 5)
    assert found.model
    assert [missing.tokens for missing in found.model] == [0] * len(found.model), "the program is alive to keep it"
    # A machine that stands still for a moment writes late, but not as a rule, and not only at the end.
    seconds = [missing.seconds for missing in found.app]
    assert median(seconds) <= 1.0, str(found)
    assert max(seconds) <= 5.0, str(found)
