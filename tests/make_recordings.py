"""Makes the shipped recordings anew, from the starter model: `python -m tests.make_recordings`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playground.backends.local import LocalBackend
from playground.backends.recording import ENDING
from playground.domain.messages import ChatPrompt, GenerationRequest, Message, Prompt, RawPrompt, Role
from playground.domain.models import LoadOptions
from playground.domain.sampling import SamplingParams
from playground.services.models import starter_model
from playground.services.paths import shipped
from playground.services.recordings import Recorder


def asked(text: str) -> ChatPrompt:
    return ChatPrompt((Message(Role.USER, text),))


RUNS: Final[dict[str, tuple[Prompt, SamplingParams]]] = {
    "sky": (
        asked("Why is the sky blue? Answer in one sentence."),
        SamplingParams(seed=4, max_tokens=90, top=8),
    ),
    "lighthouse": (
        asked("Write the first lines of a story about an old lighthouse keeper and a storm."),
        SamplingParams(seed=11, temperature=1.0, max_tokens=90, top=8),
    ),
    "village": (
        RawPrompt("Once upon a time, in a village by the sea,"),
        SamplingParams(seed=5, temperature=1.0, max_tokens=60, top=8),
    ),
}


async def main() -> None:
    model = starter_model()
    assert model is not None, "pip install 'llm-playground-tui[starter]'"
    folder = shipped("recordings")
    with TemporaryDirectory() as logs:
        backend = await LocalBackend.load(str(model), LoadOptions(context=1024, threads=1, threads_batch=1), Path(logs))
        try:
            for stream, (name, (prompt, params)) in enumerate(RUNS.items(), 1):
                path = folder / f"{name}{ENDING}"
                path.unlink(missing_ok=True)
                request = GenerationRequest(stream=stream, prompt=prompt, params=params, submitted_at=time.monotonic())
                with Recorder(lambda _: None, path, backend, request) as recorder:
                    await backend.generate(request, recorder)
                path.chmod(0o644)
        finally:
            await backend.close()


if __name__ == "__main__":
    asyncio.run(main())
