"""Chat templates that take too much: each is one sentence, soon, and the process goes on."""

from __future__ import annotations

import resource
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from playground.domain.errors import TemplateError
from playground.domain.messages import Message, Role
from playground.engine import template, template_limits
from playground.services.probing import count_prompts
from tests.conftest import TinyModels
from tests.engine.support import chat
from tests.tiny_models import NO_SYSTEM_TEMPLATE

_GROW: Final = "{% set n = namespace(x='a', y=['a'], z=9) %}{% for i in range(60) %}"
_LOOP: Final = "{% for a in range(99999) %}{% for b in range(99999) %}"

ENDLESS = {
    "loops that write nothing": f"{_LOOP}{{% endfor %}}{{% endfor %}}",
    "loops in a block": f"{{% set x %}}{_LOOP}{{% endfor %}}{{% endfor %}}{{% endset %}}",
    "loops over faults": f"{_LOOP}{{{{ messages[0].nothing }}}}{{% endfor %}}{{% endfor %}}",
    "a macro that branches": "{% macro f(n) %}{% if n %}{{ f(n - 1) ~ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "lists put together again and again": "{{ ([[1] * 99] * 99999)|sum(start=[])|length }}",
}
HUGE = {
    "a text many times": "{{ 'a' * 10**10 }}",
    "many times a text": "{{ 10**10 * 'a' }}",
    "a list many times": "{{ [0] * 10**10 }}",
    "loops that write": f"{_LOOP}xyz{{% endfor %}}{{% endfor %}}",
    "twice as long each time, ~": _GROW + "{% set n.x = n.x ~ n.x %}{% endfor %}",
    "twice as long each time, +": _GROW + "{% set n.y = n.y + n.y %}{% endfor %}",
    "a wide column": "{{ 'a'.center(10**10) }}",
    "a filter's wide column": "{{ 'a'|center(10000000000) }}",
    "a wide format": "{{ '%10000000000d' % 1 }}",
    "a wide format with a name": "{{ '%(a)-10000000000d' % {'a': 1} }}",
    "a wide format with a strange name": "{{ '%((a))10000000000d' % {'(a)': 1} }}",
    "a format with many digits": "{{ '%.1000000000f' % 1 }}",
    "a format as wide as it is told": "{{ '%*d' % (1000000000, 1) }}",
    "a wide format behind a percent sign": "{{ '5%% %10000000000d' % 1 }}",
    "a power": "{{ 9 ** (9 ** 9) }}",
    "squares of squares": _GROW + "{% set n.z = n.z * n.z %}{% endfor %}",
}
HELD_BY_THE_KERNEL = {
    "a long text for each letter": "{{ ('a' * 5000000).replace('a', 'b' * 5000000) }}",
    "long texts in a row": "{{ (['a' * 1000000] * 99999)|join }}",
    "a wide format of another kind": "{{ '{:10000000000}'.format(1) }}",
}


def _render(source: str, said: str = "hi") -> str:
    return template.render(source, [Message(Role.USER, said)], begin="", end="", model="strange")[0]


@pytest.mark.parametrize("source", ENDLESS.values(), ids=list(ENDLESS))
def test_what_has_no_end_is_broken_off(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_limits, "MOST_CPU_S", 0.2)
    with pytest.raises(TemplateError, match=r"^The chat template of strange does not come to an end") as caught:
        _render(source)
    assert "Raw mode" in caught.value.hint
    began = time.process_time()
    with pytest.raises(TemplateError, match="does not come to an end"):
        _render(source)
    assert time.process_time() - began < 0.1, "it is not tried again while somebody types"
    assert _render("{{ messages[0].content }}") == "hi"


def test_after_a_conversation_that_was_too_large_a_smaller_one_is_taken() -> None:
    source = "{% for message in messages %}{{ message.content }}!{% endfor %}"
    with pytest.raises(TemplateError, match="makes a text or list of more than"):
        _render(source, "x" * (template_limits.MOST_ITEMS + 1))
    assert _render(source) == "hi!"


@pytest.mark.skipif("sys.platform != 'linux'", reason="only Linux holds a process to an amount of memory")
def test_after_a_conversation_that_took_too_much_memory_a_smaller_one_is_taken() -> None:
    source = "{{ messages[0].content.replace('a', 'b' * 5000000)|length }}"
    with pytest.raises(TemplateError, match="takes more than 512 MB of memory"):
        _render(source, "a" * 5_000_000)
    assert _render(source, "a") == "5000000"


def test_a_template_that_is_slow_on_a_long_conversation_is_tried_again_on_a_shorter_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(template_limits, "MOST_CPU_S", 0.2)
    source = "{% for a in messages[0].content %}{% for b in messages[0].content %}{% endfor %}{% endfor %}done"
    with pytest.raises(TemplateError, match="does not come to an end"):
        _render(source, "x" * 50_000)
    assert _render(source) == "done"
    began = time.process_time()
    with pytest.raises(TemplateError, match="does not come to an end"):
        _render(source, "x" * 50_001)
    assert time.process_time() - began < 0.1, "a longer one can only take more"


def test_another_thread_is_told_that_it_is_the_wrong_one_and_no_template_is_called_broken() -> None:
    with ThreadPoolExecutor(1) as threads, pytest.raises(RuntimeError, match="in the main thread"):
        threads.submit(_render, "{{ messages[0].content }}").result()
    assert _render("{{ messages[0].content }}") == "hi"


@pytest.mark.parametrize("source", HUGE.values(), ids=list(HUGE))
def test_what_is_huge_does_not_come_to_be(source: str) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(TemplateError, match=r"^The chat template of strange (makes a text or list|computes with)"):
        _render(source)
    assert resource.getrlimit(resource.RLIMIT_AS) == before


@pytest.mark.skipif("sys.platform != 'linux'", reason="only Linux holds a process to an amount of memory")
@pytest.mark.parametrize("source", HELD_BY_THE_KERNEL.values(), ids=list(HELD_BY_THE_KERNEL))
def test_memory_is_bounded(source: str) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(TemplateError, match=r"^The chat template of strange takes more than 512 MB of memory"):
        _render(source)
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_usual_things_come_out_as_before() -> None:
    source = "{{ 'a' + 'b' ~ 1 ~ [2] }}{{ [3] + [4] }}{{ 2 * 'xy' }}{{ 1 + 2 }}{{ 2 ** 10 }}{{ '%s!' % 'hey' }}"
    assert _render(source) == "ab1[2][3, 4]xyxy31024hey!"
    assert _render("{{ [1, 2]|sum }}{{ messages|sum('content', start='x') }}") == "3xhi"
    assert _render("{{ ['a', 'b']|join(', ')|upper|center(10) }}") == "   A, B   "


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("'**%s**' % messages[0].content", "**hi**"),
        ("'* %s' % messages[0].content", "* hi"),
        ("'%s*' % messages[0].content", "hi*"),
        ("'50%% ** %s 20260101' % messages[0].content", "50% ** hi 20260101"),
        ("'%-5s|%05.1f%%' % (messages[0].content, 2)", "hi   |002.0%"),
        ("'%(a)s (*) %(b)s' % {'a': 1, 'b': 2}", "1 (*) 2"),
    ],
)
def test_stars_and_digits_beside_a_format_are_text(pattern: str, text: str) -> None:
    assert _render(f"{{{{ {pattern} }}}}") == text


async def test_counting_for_an_estimate_is_bounded_as_well(tmp_path: Path, tiny_models: TinyModels) -> None:
    endless = with_template(tiny_models("chat"), tmp_path / "endless.gguf", f"{_LOOP}{{% endfor %}}{{% endfor %}}")
    with pytest.raises(TemplateError, match="The chat template of endless does not come to an end"):
        await count_prompts(str(endless), [chat("hi")])


def with_template(model: Path, path: Path, source: str) -> Path:
    """A copy of the tiny chat model with another template of the same length."""
    shutil.copy(model, path)
    data, old = path.read_bytes(), NO_SYSTEM_TEMPLATE.encode()
    assert len(source) <= len(old)
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, source.encode().ljust(len(old))))
    return path
