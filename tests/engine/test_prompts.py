"""From messages to the exact tokens."""

from __future__ import annotations

import pytest

from playground.domain.errors import BadInput, TemplateError
from playground.domain.events import Started
from playground.domain.messages import Message, PromptParts, RawPrompt, Role
from playground.engine.model import LoadedModel
from playground.engine.prompt import build_prompt
from playground.engine.template import render
from tests.conftest import TinyModels
from tests.engine.support import ONE_THREAD, Harness, chat, opened, request
from tests.tiny_models import GENERATING

HOSTILE = {
    "classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "changes what it was given": "{{ messages.append(1) }}",
    "reads a file": "{% include '/etc/passwd' %}",
    "imports": "{% import 'os' as os %}{{ os }}",
    "endless recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "much memory": "{{ 'a' * 10**13 }}",
    "a huge range": "{% for i in range(10**9) %}x{% endfor %}",
    "no syntax": "{% for %}",
    "deeper than python": "{% for a in [1] %}" * 30 + "{% endfor %}" * 30,
    "division": "{{ 1 // 0 }}",
    "unknown filter": "{{ messages|nonsense }}",
    "out of range": "{{ messages[99].content.foo.bar }}",
    "half a character": "{{ '\\ud800'|urlencode }}",
}


@pytest.mark.parametrize("template", HOSTILE.values(), ids=list(HOSTILE))
def test_a_template_that_breaks_or_breaks_out_is_one_sentence(template: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(template, [Message(Role.USER, "hi")], begin="<s>", end="</s>")
    assert "\n" not in str(caught.value)
    assert "template" in caught.value.message


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception.__globals__ }}",
        "{{ ''|attr('__class__') }}",
        "{{ '{0.__class__}'.format(messages) }}",
        "{{ self._TemplateReference__context.__class__ }}",
        "{{ cycler.__init__ }}",
    ],
)
def test_a_template_sees_nothing_of_python(template: str) -> None:
    assert render(template, [Message(Role.USER, "hi")], begin="<s>", end="</s>") == ("", "")


def test_templates_get_what_they_expect() -> None:
    template = (
        "{{ bos_token }}{% generation %}{{ messages[0].content | tojson }}{% endgeneration %}"
        "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m['role'] }}{% endfor %}"
        "{{ strftime_now('%Y')|length }}{{ tools is none }}{{ add_generation_prompt }}{{ eos_token }}"
    )
    text, note = render(template, [Message(Role.USER, 'é"')], begin="<s>", end="</s>")
    assert text == '<s>"é\\""user4TrueTrue</s>'
    assert note == ""


def test_a_system_message_that_is_refused_goes_before_the_first_question(tiny_models: TinyModels) -> None:
    with opened(tiny_models("chat"), context=512, **ONE_THREAD) as model:
        view = build_prompt(model, chat("the water", "the long way", "the number", system="so about"))
        assert view.text.startswith("<|im_start|>user\nso about\n\nthe water<|im_end|>\n<|im_start|>assistant\n")
        assert "system" in view.note
        assert view.parts.total == len(view.ids)
        harness = Harness(model)
        harness.run(request(1, chat("the water", system="so about")))
        (started,) = harness.of(1, Started)
        assert started.note == view.note


ALTERNATING = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}"
    "[{{ m.content }}]{% endfor %}"
)


def test_two_questions_in_a_row_become_one_where_a_template_refuses_them() -> None:
    asked = [Message(Role.USER, "a"), Message(Role.USER, "b")]
    text, note = render(ALTERNATING, asked, begin="", end="")
    assert text == "[a\n\nb]"
    assert "in a row" in note
    assert render("{% for m in messages %}[{{ m.content }}]{% endfor %}", asked, begin="", end="") == ("[a][b]", "")
    text, note = render(ALTERNATING, [Message(Role.SYSTEM, "s"), *asked], begin="", end="")
    assert text == "[s\n\na\n\nb]"
    assert "system message" in note
    assert "in a row" in note


def test_a_refusal_for_another_reason_is_an_error() -> None:
    template = "{{ raise_exception('Roles must alternate') }}"
    for messages in ([Message(Role.USER, "a")], [Message(Role.SYSTEM, "s"), Message(Role.USER, "a")]):
        with pytest.raises(TemplateError, match="Roles must alternate"):
            render(template, messages, begin="", end="")


def test_a_template_error_is_a_failed_run(tiny_models: TinyModels) -> None:
    with opened(tiny_models("chat"), context=512, **ONE_THREAD) as model:
        harness = Harness(model)
        model.template = "{{ 1 // 0 }}"
        harness.submit(request(1, chat("hi")))
        assert harness.failed(1).problem.kind == "TemplateError"
        assert harness.run(request(2, "the water")).usage.completion_tokens == 8


def test_a_base_model_gets_the_plain_text(tiny_models: TinyModels) -> None:
    with opened(tiny_models("base"), context=512, **ONE_THREAD) as model:
        view = build_prompt(model, chat("the water", system="so about"))
        assert "".join(
            piece.decode() for piece, special in zip(view.pieces, view.special, strict=True) if not special
        ) in (
            " so about\n\nthe water",
            "so about\n\nthe water",
        )
        assert "base model" in view.note


def test_the_exact_prompt_of_the_real_model(loaded_starter: LoadedModel) -> None:
    view = build_prompt(loaded_starter, chat("Hi.", "Hello!", "And?", system="Be brief."))
    assert view.text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi.<|im_end|>\n"
        "<|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert [piece for piece, special in zip(view.pieces, view.special, strict=True) if special] == [
        b"<|im_start|>", b"<|im_end|>", b"<|im_start|>", b"<|im_end|>", b"<|im_start|>", b"<|im_end|>",
        b"<|im_start|>", b"<|im_end|>", b"<|im_start|>",
    ]  # fmt: skip
    parts = view.parts
    assert parts.total == len(view.ids)
    at = {name: view.text.index(name) for name in ("Hi.", "Hello!", "And?")}
    system = b"".join(view.pieces[: parts.system]).decode()
    assert "Be brief." in system
    assert len(system) <= at["Hi."] + 2
    history = b"".join(view.pieces[: parts.system + parts.history]).decode()
    assert "Hello!" in history
    assert "And?" not in history


def test_control_tokens_that_were_typed_are_told(loaded_starter: LoadedModel) -> None:
    typed = build_prompt(loaded_starter, chat("end it <|im_end|> now"))
    assert "<|im_end|>" in typed.note
    assert build_prompt(loaded_starter, chat("a < b | c > [d]")).note == ""


def test_a_reply_that_is_continued_counts_as_history(loaded_starter: LoadedModel) -> None:
    plain = build_prompt(loaded_starter, chat("Hi."))
    reply = tuple(loaded_starter.tokenize("Hello there", special=False, begin=False))
    longer = build_prompt(loaded_starter, chat("Hi."), reply)
    assert longer.ids == plain.ids + reply
    assert longer.text == plain.text + "Hello there"
    assert longer.parts == PromptParts(plain.parts.system, plain.parts.history + len(reply), plain.parts.prompt)
    with pytest.raises(BadInput, match="other tokens"):
        build_prompt(loaded_starter, chat("Hi."), (loaded_starter.info.n_vocab,))


def test_raw_text_is_sent_as_it_is(loaded_starter: LoadedModel) -> None:
    view = build_prompt(loaded_starter, RawPrompt("<|im_start|>user\n  hi "))
    assert view.text == "<|im_start|>user\n  hi "
    assert view.special == (True, *(False,) * (len(view.ids) - 1))
    assert view.parts == PromptParts(prompt=len(view.ids))


def test_half_characters_do_not_break_a_prompt(loaded_starter: LoadedModel) -> None:
    for prompt in (RawPrompt("a \ud83d b"), chat("a \ud83d b", "c", "d")):
        assert build_prompt(loaded_starter, prompt).ids


@pytest.mark.parametrize("kind", GENERATING)
def test_every_text_survives_the_way_to_tokens_and_back(tiny_models: TinyModels, kind: str) -> None:
    text = "the water\n\t漢字 🙂 é \x1b[31m ��"
    with opened(tiny_models(kind), context=512, **ONE_THREAD) as model:
        view = build_prompt(model, RawPrompt(text))
        plain = b"".join(piece for piece, special in zip(view.pieces, view.special, strict=True) if not special)
        assert plain.decode().removeprefix(" ") == text


def test_a_bias_is_for_the_token_of_exactly_that_text(tiny_models: TinyModels, loaded_starter: LoadedModel) -> None:
    with opened(tiny_models("base"), context=512, **ONE_THREAD) as model:
        for text in (" the", "a", " ", "\n", "<s>", "<unk>"):
            ((token, value),) = model.bias_ids({text: 2.0}).items()
            assert (model.pieces[token][0], value) == (text.encode(), 2.0)
        with pytest.raises(BadInput, match="not one token"):
            model.bias_ids({"the": 1.0})  # only " the" is in this vocabulary
        for text in ("#100000", "#-1", "#²", "", "#" + "9" * 5000):
            with pytest.raises(BadInput):
                model.bias_ids({text: 1.0})
        assert model.bias_ids({"#5": 1.0, "#0": -1.0}) == {5: 1.0, 0: -1.0}
    assert len(loaded_starter.bias_ids({" Paris": 1.0, "<|im_end|>": 1.0, "\n\n": 1.0})) == 3
