"""One text under several tokenizers, asked again and again while it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from playground.services.probing import Prober
from playground.services.token_table import TIKTOKEN, Split, split_by_model, split_by_tiktoken
from playground.services.tokenizers import SOURCE, Vocabularies

Told = Callable[[Sequence[Split]], None]

_GRACE_S: Final = 0.15
"""Tokenizers that need longer, because a vocabulary must be read first, are not waited for with what is there."""
READING: Final = "reading its vocabulary …"


class SideBySide:
    """Models of which only the vocabulary is read, and tiktoken's vocabularies. Belongs to one event loop."""

    def __init__(self, files: Sequence[Path], source: str = SOURCE) -> None:
        self.files = list(files)
        self._source = source
        self._vocabularies = Vocabularies(source)
        self._prober = Prober()

    async def split(self, text: str, tell: Told, *, special: bool = False) -> None:
        """Tell how the text is split: what is known at once, and then all of it. Models come first, in their order.

        What is not known yet, and what cannot be had, has a `problem`.
        """
        asked = [
            *(split_by_model(path, text, special=special, ask=self._prober.tokens) for path in self.files),
            *(split_by_tiktoken(name, text, self._vocabularies, special=special, fetch=False) for name in TIKTOKEN),
        ]
        tasks = [asyncio.create_task(one, name="split") for one in asked]
        try:
            _, waiting = await asyncio.wait(tasks, timeout=_GRACE_S)
            if waiting:
                size = len(text.encode())
                names = [path.name.removesuffix(".gguf") for path in self.files] + list(TIKTOKEN)
                tell(
                    [
                        task.result() if task.done() else Split(tokenizer=name, text_bytes=size, problem=READING)
                        for name, task in zip(names, tasks, strict=True)
                    ]
                )
            tell(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def missing(self) -> list[str]:
        """Vocabularies of tiktoken that are not on this machine."""
        return [name for name in TIKTOKEN if await self._vocabularies.encoding(name, fetch=False) is None]

    async def fetch(self) -> list[str]:
        """Fetch what is missing from the network; returns what could not be had."""
        await self._vocabularies.close()
        self._vocabularies = Vocabularies(self._source)  # one that failed before is tried again
        for name in await self.missing():
            await self._vocabularies.encoding(name, fetch=True)
        await self._vocabularies.settle()
        return await self.missing()

    async def close(self) -> None:
        """End the process that reads vocabularies, and what is being fetched."""
        await self._vocabularies.close()
        await self._prober.close()
