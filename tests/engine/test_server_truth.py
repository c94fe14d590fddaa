"""The same prompt in a real llama.cpp server: two builds of one library must see the same distribution."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from playground.domain.tokens import Token
from tests.conftest import TinyModels
from tests.engine.support import ONE_THREAD, Harness, opened, request
from tests.tiny_models import GENERATING

pytest.importorskip("xllamacpp")

PROMPTS = ("Here is a short story about a river.", "def fibonacci(n):\n", "汉字 and ünïcode 🙂:")


@contextmanager
def serving(model: Path) -> Iterator[str]:
    """Address of a llama.cpp server of its own process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engine.llama_server", str(model), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert any(line.startswith("listening") for line in process.stdout)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def next_token(server: str, ids: list[int]) -> dict[int, float]:
    """The server's log-probabilities of the most likely tokens behind a text; none for half a character."""
    body = {"prompt": ids, "n_predict": 1, "n_probs": 10, "temperature": 0.0, "ignore_eos": True}
    call = urllib.request.Request(
        f"{server}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(call, timeout=120) as answer:
        positions: list[Any] = json.load(answer).get("completion_probabilities", [])
    return {entry["id"]: entry["logprob"] for position in positions for entry in position["top_logprobs"]}


def differences(server: str, harness: Harness, prompt: str, tokens: int) -> list[float]:
    """How far the chosen tokens' log-probabilities are apart, position by position along our own text."""
    harness.run(request(1, prompt, max_tokens=tokens, ignore_eos=True))
    ids = harness.model.tokenize(prompt, special=True, begin=True)
    apart = []
    for ours in harness.tokens(1):
        assert ours.id is not None
        assert ours.logprob is not None
        theirs = next_token(server, ids)
        ids.append(ours.id)
        if theirs:
            apart.append(abs(theirs[ours.id] - ours.logprob))
            assert not _sure(ours) or max(theirs, key=lambda token: theirs[token]) == ours.top[0].id
    assert len(apart) >= tokens // 2
    return apart


def _sure(token: Token) -> bool:
    return (token.top[0].logprob or 0.0) - (token.top[1].logprob or 0.0) > 0.5


def test_a_server_sees_the_same_distribution_of_the_real_model(harness: Harness, starter_gguf: Path) -> None:
    """Its kernels round differently, and four-bit weights make more of that than full ones; see the test below."""
    with serving(starter_gguf) as server:
        apart = []
        for prompt in PROMPTS:
            apart += differences(server, harness, prompt, 16)
            harness.events.clear()
    assert statistics.median(apart) < 0.1
    assert max(apart) < 0.5


@pytest.mark.parametrize("kind", GENERATING)
def test_a_server_sees_the_same_distribution_of_full_precision_weights(tiny_models: TinyModels, kind: str) -> None:
    with opened(tiny_models(kind), context=512, **ONE_THREAD) as model, serving(tiny_models(kind)) as server:
        apart = differences(server, Harness(model), "the water was about to", 12)
    assert max(apart) < 0.02
