"""The whole app in a test: on the real model, or on a backend that says what the test tells it to."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget

from playground.app import PlaygroundApp
from playground.backends.base import Backend, Capabilities, EventSink
from playground.domain.events import Event, Finished, ParamsChanged, Started, StopReason, TokenGenerated
from playground.domain.messages import ChatPrompt, GenerationRequest, Prompt, PromptParts, PromptView, RawPrompt
from playground.domain.models import ModelCard
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Candidate, Stage, Token
from playground.domain.usage import Timings, TokenCount, Usage
from playground.screens.choice_dialog import ChoiceDialog
from playground.screens.experiments import EXPERIMENTS
from playground.screens.pane import Pane
from playground.screens.playground import PlaygroundScreen
from playground.services.paths import user_config_dir
from playground.services.presets import load_presets
from playground.services.settings import load_settings, settings_path
from playground.services.start import find_preset, starting_params
from tests.toy_model import TOY

_S = TypeVar("_S", bound=Screen[Any])
PATIENCE_S = 60.0
"""Long enough for a machine on which something else is running; nothing waits that long unless it is broken."""


def make_app(*assignments: str, model: str = "", preset: str = "balanced") -> PlaygroundApp:
    """The app as the command line makes it, with `name=value` assignments on top of a preset."""
    settings, errors = load_settings()
    presets, preset_errors = load_presets()
    chosen = find_preset(presets, preset)
    return PlaygroundApp(
        settings,
        model=model,
        presets=presets,
        preset=chosen,
        params=starting_params(chosen, assignments),
        errors=[*errors, *preset_errors],
    )


class Player:
    """Somebody who sits at the app."""

    def __init__(self, app: PlaygroundApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def screen(self) -> PlaygroundScreen:
        """The screen below all dialogs."""
        return self.app.get_default_screen()

    @property
    def pane(self) -> Pane:
        """The conversation."""
        return self.screen.pane

    @property
    def panes(self) -> Sequence[Pane]:
        """All conversations, from left to right."""
        return self.screen.all_panes

    @property
    def text(self) -> str:
        """Everything on the screen."""
        width, height = self.app.size
        return "\n".join(strip.text[:width] for strip in self.app.screen._compositor.render_strips()[:height])

    @property
    def transcript(self) -> str:
        """The transcript, with what is scrolled out of sight."""
        return transcript_of(self.pane)

    @property
    def transcripts(self) -> list[str]:
        """Those of all panes."""
        return [transcript_of(pane) for pane in self.panes]

    @property
    def notices(self) -> str:
        """Everything that was notified and has not gone away."""
        return "\n".join(f"{notice.title} {notice.message}" for notice in self.app._notifications)

    def focus_is(self, kind: type[Widget]) -> bool:
        """Is a widget of this kind the one that gets the keys?"""
        return isinstance(self.app.focused, kind)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Let the app go on until something is so; an AssertionError says what never was."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not condition():
            assert asyncio.get_running_loop().time() < deadline, f"{what}: never\n{self.text}\n{self.notices}"
            await self.pilot.pause(0.02)
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        """Press keys."""
        await self.pilot.press(*keys)

    async def ready(self) -> None:
        """Wait for the model."""
        await self.until(lambda: self.pane.card and self.pane.runner.backend, "model loaded")

    async def write(self, text: str) -> None:
        """Put a prompt into the editor."""
        self.screen.editor.load_text(text)
        await self.pilot.pause()

    async def say(self, text: str) -> None:
        """Send a prompt."""
        await self.write(text)
        await self.press("enter")

    async def tokens(self, count: int) -> None:
        """Wait until the reply that is being written has some tokens."""
        await self.until(lambda: (last := self.pane.last_token()) and last.index >= count - 1, f"{count} tokens")

    async def answered(self) -> None:
        """Wait for the end of the reply."""
        session = self.pane.session
        await self.until(lambda: session.transcript.head is not None and not session.busy, "reply ended")

    async def all_answered(self) -> None:
        """Wait for the end of the replies in all panes."""
        await self.until(
            lambda: all(pane.session.transcript.head is not None and not pane.session.busy for pane in self.panes),
            "all replies ended",
        )

    async def stop_all(self) -> None:
        """Press Esc until nothing is written any more: once for this pane, once for the others."""
        await self.press("escape")
        await self.until(lambda: not self.pane.session.busy, "this pane stopped")
        if any(pane.session.busy for pane in self.panes):
            await self.press("escape")
        await self.all_answered()

    async def ask_all(self, text: str) -> None:
        """Send a prompt and wait for all replies to it."""
        before = [pane.session.stream for pane in self.panes]
        await self.say(text)
        await self.until(
            lambda: all(
                pane.session.stream != stream and not pane.session.busy
                for pane, stream in zip(self.panes, before, strict=True)
            ),
            "all replies ended",
        )

    async def add_pane(self, backend: FakeBackend | None = None) -> Pane:
        """Open another pane; with a fake model if one is given, else with the active pane's."""
        count = len(self.panes)
        await self.press("alt+n")
        await self.until(lambda: len(self.panes) == count + 1, "one more pane")
        if backend is not None:
            await self.attach(backend)
        return self.pane

    async def ask(self, text: str) -> None:
        """Send a prompt and wait for the whole reply."""
        await self.write(text)
        await self.run("enter")

    async def run(self, key: str) -> None:
        """Press a key that begins a reply, and wait for the end of it."""
        session = self.pane.session
        before = session.stream
        await self.press(key)
        await self.until(lambda: session.stream != before and not session.busy, "reply ended")

    async def attach(self, backend: FakeBackend) -> None:
        """Give the app a fake model in place of one of its own."""
        await self.until(lambda: self.pane.model_state == "no model", "search for a model ended")
        self.pane.attach(backend)
        self.screen.show_params()


async def open_experiment(player: Player, name: str, kind: type[_S]) -> _S:
    """Choose one from the list of experiments, and wait for its screen."""
    await player.press("f12")
    await player.until(lambda: isinstance(player.app.screen, ChoiceDialog), "the list of experiments")
    place = [one.name for one in EXPERIMENTS].index(name)
    await player.press(*["down"] * place, "enter")
    await player.until(lambda: isinstance(player.app.screen, kind), f"the screen of {name}")
    screen = player.app.screen
    assert isinstance(screen, kind)
    return screen


def transcript_of(pane: Pane) -> str:
    """A pane's transcript, with what is scrolled out of sight."""
    return "".join(pane.transcript.view.store.texts)


def settings(text: str) -> None:
    """Write the person's settings file."""
    user_config_dir().mkdir(parents=True, exist_ok=True)
    settings_path().write_text(text, encoding="utf-8")


@asynccontextmanager
async def playing(app: PlaygroundApp, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Player]:
    """The app in a headless terminal; the model's process goes with it."""
    async with app.run_test(size=size, notifications=True) as pilot:
        player = Player(app, pilot)
        try:
            await player.until(lambda: player.screen.furnished, "furnished")
            yield player
        finally:
            await player.screen.pool.close_all()


INFO = TOY


def token(index: int, piece: bytes, probability: float = 0.5, special: str = "") -> Token:
    """A token with ten candidates, the sixth of which and those below it were cut."""
    shares = [probability, *((1 - probability) / 2**place for place in range(1, 10))]
    pieces = [piece, *(f" other{place}".encode() for place in range(1, 10))]
    top = tuple(
        Candidate(100 + place, text, math.log(share), share if place < 5 else 0.0, False, -1 if place < 5 else 1)
        for place, (text, share) in enumerate(zip(pieces, shares, strict=True))
    )
    stages = (Stage("top_k", 40, 0.99), Stage("top_p", 5, 0.95), Stage("temperature", 5, 0.95), Stage("dist", 5, 0.95))
    return Token(
        index, 100, piece, math.log(probability), probability, 1, 2.5, top, stages, 80.0 + 20.0 * index, special
    )


class FakeBackend(Backend):
    """Says the pieces it was given, each run; `hold` makes it wait after some tokens until it is let go."""

    def __init__(self, pieces: Sequence[bytes], hold_after: int | None = None) -> None:
        self.pieces = list(pieces)
        self.requests: list[GenerationRequest] = []
        self.let_go = asyncio.Event()
        self._hold_after = hold_after
        self._stopped: set[int] = set()
        self._pending: list[SamplingParams] = []

    @property
    def capabilities(self) -> Capabilities:
        params = frozenset(SamplingParams.__struct_fields__)
        return Capabilities(params=params, logprobs="full", stages=True, live_params=True, exact_count=True, fork=True)

    async def generate(self, request: GenerationRequest, sink: EventSink) -> None:
        self.requests.append(request)
        stream, parts = request.stream, PromptParts(system=20, history=0, prompt=12)
        sink(Started(stream=stream, prompt_tokens=32, cached_tokens=0, params=request.params, seed=7, parts=parts))
        reason, count = StopReason.STOP, 0
        for count, event in enumerate(self._tokens(request), 1):
            sink(event)
            if count == self._hold_after:
                await self.let_go.wait()
                self._change_params(request, count, sink)
            if stream in self._stopped:
                reason = StopReason.CANCELLED
                break
        sink(self._finished(stream, reason, count))

    def _tokens(self, request: GenerationRequest) -> Iterable[Event]:
        chances = (0.97, 0.6, 0.2, 0.85, 0.02, 0.4, 0.999)
        for index, piece in enumerate(self.pieces, len(request.reply_ids)):
            yield TokenGenerated(stream=request.stream, token=token(index, piece, chances[index % len(chances)]))

    def _change_params(self, request: GenerationRequest, index: int, sink: EventSink) -> None:
        for params in self._pending:
            sink(ParamsChanged(stream=request.stream, index=index, params=params, changed=()))
        self._pending.clear()

    def _finished(self, stream: int, reason: StopReason, count: int) -> Finished:
        return Finished(
            stream=stream,
            reason=reason,
            text="",
            usage=Usage(prompt_tokens=32, cached_tokens=0, completion_tokens=count, cost=0.0),
            timings=Timings(ttft_ms=80.0, prefill_tokens_per_second=400.0, tokens_per_second=50.0, total_ms=2500.0),
        )

    async def stop(self, stream: int) -> None:
        self._stopped.add(stream)
        self.let_go.set()

    async def set_params(self, stream: int, params: SamplingParams) -> None:
        self._pending.append(params)

    async def view_prompt(self, prompt: Prompt, reply_ids: Sequence[int] = ()) -> PromptView:
        text = prompt.text if isinstance(prompt, RawPrompt) else "".join(m.content for m in prompt.messages)
        assert isinstance(prompt, RawPrompt | ChatPrompt)
        pieces = (b"<|im_start|>", *(word.encode() for word in text.split()))
        special = tuple(piece.startswith(b"<|") for piece in pieces)
        return PromptView(text, tuple(range(len(pieces))), pieces, special, PromptParts(0, 0, len(pieces)))

    async def count_tokens(self, text: str) -> TokenCount:
        return TokenCount(len(text.split()), exact=True, method="tokenizer")

    @property
    def card(self) -> ModelCard:
        return INFO.card

    async def close(self) -> None:
        self.let_go.set()
