"""What a client sends is text: no template, pattern or grammar of its own is ever executed (promise S6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from .server import BIAS, Server

TEMPLATES = ["{{7*7}}", "{{7*'7'}}", "${7*7}", "$${7*7}", "#{7*7}", "*{7*7}", "@(7*7)", "<%= 7*7 %>", "<%7*7%>",
             "{%print 7*7%}", "{7*7}", "{{=7*7}}", "[[${7*7}]]", "~{7*7}", "{{config}}", "{{self.__dict__}}",
             "{{request.application.__globals__}}", "{{''.__class__.__mro__[1].__subclasses__()}}",
             "{{cycler.__init__.__globals__.os.popen('id').read()}}",
             "{{lipsum.__globals__['os'].popen('touch TOUCHED').read()}}", "{{joiner.__init__.__globals__}}",
             "{% raw %}{% endraw %}", "{% for x in ().__class__.__base__.__subclasses__() %}{{x}}{% endfor %}",
             "{% include '/etc/passwd' %}", "{%- set a = range(10**9) -%}", "{{'a'*10**9}}",
             "{{ raise_exception('x') }}", "{{ strftime_now('%Y') }}", "{0.__class__.__init__.__globals__}",
             "{prompt}", "{messages[0]}", "%(prompt)s", "%s%s%s%n", "%d", "%x" * 20, "$prompt", "$(touch TOUCHED)",
             "`touch TOUCHED`", "; touch TOUCHED", "| touch TOUCHED", "__import__('os').system('touch TOUCHED')",
             "!!python/object:os.system", "#set($x=7*7)$x", "<#assign x=7*7>${x}", "{php}echo 7*7;{/php}",
             "<?php echo 7*7;?>", "T(java.lang.Runtime)", "<script>alert(1)</script>", "\\x41", "\\u0041", "&#65;",
             "%41", "../../etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/", "<|im_start|>", "[INST]", "<eos>"]
PATTERNS = [".", ".*", ".+", "^", "$", "(?:)", "\\w", "[a-z]", "(a+)+$", "(?=a)", "a|b|.", "\\b", "(?s).", "(.*)*\\1",
            "[[:alpha:]]", "a{0,99999}", "(?P<x>.)", "*", "root ::= .*", "start: /.*/"]
FIELDS = ["chat_template", "chat_template_kwargs", "template", "guided_regex", "guided_grammar", "guided_json",
          "guided_choice", "grammar", "regex", "response_format", "tools", "tool_choice", "functions",
          "logits_processors", "extra_body", "format", "json_schema", "code", "ignore_eos", "prompt_embeds",
          "__class__", "adapter", "lora", "callback", "webhook", "url"]
MODEL = "random_bytes"


def test_templates_are_text(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for template in TEMPLATES:
        told = server.complete(template, model=MODEL, max_tokens=2, echo=True, seed=1, user=template, logit_bias=BIAS)
        assert told["choices"][0]["text"].startswith(template)
        assert told["usage"]["prompt_tokens"] - len(template.encode()) in (0, 1)
    assert not [*tmp_path.iterdir(), *Path.cwd().glob("TOUCHED")]
    assert server.is_well()


def test_a_stop_is_found_as_it_stands(server: Server) -> None:
    """No pattern that matches everything stops a text."""
    free = server.complete("a", max_tokens=60, seed=3, logit_bias=BIAS)["choices"][0]["text"]
    for pattern in [*PATTERNS, *TEMPLATES]:
        told = server.complete("a", max_tokens=60, seed=3, logit_bias=BIAS, stop=pattern)["choices"][0]
        assert told["text"] == free.partition(pattern)[0], pattern
        assert told["finish_reason"] == ("stop" if pattern in free else "length")


@pytest.mark.parametrize("template", TEMPLATES[:40:4])
def test_a_models_name_is_a_name(server: Server, template: str) -> None:
    reply = server.ask("/v1/completions", server.fields(model=template))
    assert reply.status == 404
    assert "49" not in reply.error["message"].replace(template, "")


@pytest.mark.parametrize("field", FIELDS)
def test_there_is_no_field_for_any(server: Server, field: str) -> None:
    for value in ("{{7*7}}", {"type": "regex", "pattern": ".*"}):
        reply = server.ask("/v1/completions", server.fields(**{field: value}))
        assert reply.status == 400
        assert reply.error["param"] == field


@pytest.mark.parametrize("messages", [[{"role": "user", "content": "{{7*7}}"}],
                                      [{"role": "system", "content": "{% include '/etc/passwd' %}"}]])
def test_a_model_without_a_chat_format_says_so(server: Server, messages: list[dict[str, str]]) -> None:
    reply = server.ask("/v1/chat/completions", {"model": server.model, "messages": messages})
    assert reply.status in (400, 404)
    assert "/v1/completions" in reply.error["message"]
