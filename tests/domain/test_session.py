"""A conversation, driven by events, without a screen and without a model."""

from __future__ import annotations

import pytest

from playground.domain.errors import BadInput
from playground.domain.events import ParamsChanged, PromptProgress, StopReason, TokenGenerated
from playground.domain.messages import ChatPrompt, Message, RawPrompt, Role
from playground.domain.params import replace
from playground.domain.sampling import SamplingParams
from playground.domain.session import Phase, Session
from tests.domain.support import end, exchange, fail, start, token, write


def contents(prompt: object) -> list[tuple[str, str]]:
    assert isinstance(prompt, ChatPrompt)
    return [(str(message.role), message.content) for message in prompt.messages]


def phase(session: Session) -> Phase:
    """The phase now; a type checker takes it for settled once it was compared."""
    return session.phase


def test_a_run_from_send_to_end() -> None:
    session = Session()
    request = session.send("Hi")
    assert (session.phase, session.busy, request.stream) == (Phase.SENT, True, session.stream)
    assert request.prompt == ChatPrompt((Message(Role.USER, "Hi"),))
    assert request.reply_ids == ()
    start(session)
    assert phase(session) is Phase.PREFILL
    assert session.figures.prefill_total == 15
    session.apply(PromptProgress(stream=session.stream, done=10, total=15))
    assert (session.figures.prefill_done, session.figures.prefill_total) == (10, 15)
    write(session, "Hel", "lo")
    assert phase(session) is Phase.WRITING
    assert session.figures.ttft_ms == 100.0
    assert session.figures.tokens_per_second == 50.0
    end(session)
    assert (session.phase, session.busy, session.active) == (Phase.IDLE, False, None)
    reply = session.transcript.last(Role.ASSISTANT)
    assert reply is not None
    assert (reply.content, reply.stop_reason) == ("Hello", StopReason.STOP)


def test_the_next_call_holds_the_whole_branch_and_the_system_prompt() -> None:
    session = Session(system="Be brief.")
    exchange(session, "Hi", "Hello", "!")
    request = session.send("And?")
    assert contents(request.prompt) == [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Hello!"),
        ("user", "And?"),
    ]
    assert contents(session.prompt(session.transcript.head, draft="")) == contents(request.prompt)


def test_a_reply_without_a_word_is_not_sent() -> None:
    session = Session(system="Be brief.")
    session.send("One?")
    fail(session)
    again = session.send("Two?")
    assert contents(again.prompt) == [("system", "Be brief."), ("user", "One?"), ("user", "Two?")]


def test_nothing_is_sent_while_a_reply_is_written() -> None:
    session = Session()
    session.send("Hi")
    turns = dict(session.transcript.turns)
    for call in (lambda: session.send("again"), session.regenerate, session.continue_reply, session.new_conversation):
        with pytest.raises(BadInput, match="still being written"):
            call()
    assert session.transcript.turns == turns


def test_events_of_other_runs_are_ignored() -> None:
    session = Session()
    session.send("Hi")
    first = session.stream
    start(session)
    end(session, StopReason.CANCELLED)
    session.regenerate()
    session.apply(TokenGenerated(stream=first, token=token(0, "late")))
    assert session.active is not None
    assert session.active.tokens == []
    fail(session)
    session.apply(TokenGenerated(stream=session.stream, token=token(0, "late")))
    assert all(not turn.tokens for turn in session.transcript.turns.values())


def test_a_failure_keeps_what_was_written() -> None:
    session = Session()
    session.send("Hi")
    start(session)
    write(session, "half")
    fail(session, "The process ended.")
    reply = session.transcript.last(Role.ASSISTANT)
    assert reply is not None
    assert (reply.content, reply.stop_reason, session.busy) == ("half", None, False)
    assert reply.problem is not None
    assert contents(session.send("More").prompt)[1] == ("assistant", "half")


def test_regenerating_is_a_branch_beside_the_old_reply() -> None:
    session = Session()
    exchange(session, "Hi", "one")
    old = session.transcript.last(Role.ASSISTANT)
    assert old is not None
    request = session.regenerate()
    assert contents(request.prompt) == [("user", "Hi")]
    write(session, "two")
    end(session)
    new = session.transcript.last(Role.ASSISTANT)
    assert new is not None
    assert [turn.content for turn in session.transcript.siblings(new)] == ["one", "two"]
    assert session.transcript.place(new) == (2, 2)
    assert [turn.content for turn in session.transcript.path()] == ["Hi", "two"]


def test_regenerating_needs_a_question() -> None:
    with pytest.raises(BadInput, match="nothing to answer"):
        Session().regenerate()


def test_an_edited_message_is_a_branch_and_the_old_one_stays() -> None:
    session = Session()
    exchange(session, "Hi", "one")
    exchange(session, "More", "two")
    more = session.transcript.last(Role.USER)
    assert more is not None
    request = session.resend(more, "Less")
    assert contents(request.prompt) == [("user", "Hi"), ("assistant", "one"), ("user", "Less")]
    write(session, "three")
    end(session)
    assert [turn.content for turn in session.transcript.path()] == ["Hi", "one", "Less", "three"]
    session.show_branch(session.transcript.newest_leaf(more))
    assert [turn.content for turn in session.transcript.path()] == ["Hi", "one", "More", "two"]


def test_a_reply_goes_on_where_it_ended() -> None:
    session = Session()
    exchange(session, "Hi", "one ", "two ", reason=StopReason.LENGTH)
    request = session.continue_reply()
    assert request.reply_ids == (100, 101)
    assert request.reply_text == "one two "
    assert contents(request.prompt) == [("user", "Hi")]
    start(session)
    write(session, "three")
    end(session)
    reply = session.transcript.last(Role.ASSISTANT)
    assert reply is not None
    assert reply.content == "one two three"
    assert [each.index for each in reply.tokens] == [0, 1, 2]


def test_a_reply_goes_on_without_its_end_token_and_its_stop_string() -> None:
    session = Session()
    session.send("Hi")
    start(session)
    write(session, "one", " ST", "OP")
    end(session, StopReason.STOP_STRING, trimmed=4)
    reply = session.transcript.last(Role.ASSISTANT)
    assert reply is not None
    assert reply.content == "one "
    request = session.continue_reply()
    assert request.reply_ids == (100,)
    session.apply(TokenGenerated(stream=session.stream, token=token(1, "", special="<end>")))
    end(session)
    assert session.continue_reply().reply_ids == (100,)


def test_there_must_be_a_reply_to_continue() -> None:
    session = Session()
    with pytest.raises(BadInput, match="no reply to continue"):
        session.continue_reply()
    session.send("Hi")
    fail(session)
    with pytest.raises(BadInput, match="no reply to continue"):
        session.continue_reply()


def test_a_change_in_mid_stream_leaves_a_mark() -> None:
    session = Session()
    session.send("Hi")
    start(session)
    write(session, "a")
    hot = replace(SamplingParams(), temperature=1.5, top_k=0)
    session.apply(ParamsChanged(stream=session.stream, index=1, params=hot, changed=("temperature", "top_k")))
    assert session.active is not None
    (mark,) = session.active.marks
    assert (mark.at, mark.text) == (1, "temperature 0.8 → 1.5, top_k 40 → 0")


def test_changes_between_the_same_two_tokens_are_one_mark() -> None:
    session = Session()
    session.send("Hi")
    start(session)
    for value in (0.9, 1.0, 1.1):
        params = replace(SamplingParams(), temperature=value)
        session.apply(ParamsChanged(stream=session.stream, index=0, params=params, changed=("temperature",)))
    assert session.active is not None
    assert [mark.text for mark in session.active.marks] == ["temperature 0.8 → 1.1"]
    session.apply(ParamsChanged(stream=session.stream, index=0, params=SamplingParams(), changed=("temperature",)))
    assert session.active.marks == []


def test_a_refused_message_is_taken_back() -> None:
    session = Session()
    exchange(session, "Hi", "one")
    head = session.transcript.head
    session.send("far too long")
    fail(session, "too long")
    assert session.discard_last_exchange() == "far too long"
    assert session.transcript.head == head
    assert len(session.transcript.turns) == 2
    assert session.discard_last_exchange() == "", "a reply with text in it is not taken back"


def test_taking_back_a_refused_regeneration_keeps_the_question() -> None:
    session = Session()
    exchange(session, "Hi", "one")
    session.regenerate()
    fail(session)
    session.discard_last_exchange()
    assert [turn.content for turn in session.transcript.turns.values()] == ["Hi", "one"]


def test_raw_mode_sends_the_text_as_one() -> None:
    session = Session(system="Be brief.")
    session.mode = "raw"
    assert session.send("Once upon").prompt == RawPrompt("Once upon")
    start(session)
    write(session, " a", " time")
    end(session)
    assert session.prompt(session.transcript.head, draft=" there") == RawPrompt("Once upon a time there")


def test_a_new_conversation_leaves_the_old_one_in_the_tree() -> None:
    session = Session()
    exchange(session, "Hi", "one")
    session.new_conversation()
    assert session.transcript.path() == []
    assert contents(session.send("Hello").prompt) == [("user", "Hello")]
    assert len(session.transcript.turns) == 4


def test_the_cost_of_a_call_is_that_of_the_last_one_and_an_unknown_price_is_not_zero() -> None:
    def charged() -> list[float | None]:
        return [usage.cost for usage in [session.figures.usage] if usage is not None]

    session = Session()
    for cost in (0.25, 0.5, None):
        session.send("Hi")
        assert charged() == []
        end(session, cost=cost)
        assert charged() == [cost]
