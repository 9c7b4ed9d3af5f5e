"""Templates of chat formats, which exports carry for other programs: Jinja for transformers and llama.cpp, Go's for
Ollama. Nothing here runs one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tinylm.chat.chat_format import ChatFormat, Special
from tinylm.chat.conversation import Role
from tinylm.text.special_tokens import BOS, EOS

_TOKENS = {BOS: "bos_token", EOS: "eos_token"}


def jinja_template(form: ChatFormat) -> str:
    """The template of a format for transformers and llama.cpp.

    >>> from tinylm.chat.chat_format import TURNS
    >>> print(jinja_template(TURNS)[:60])
    {{ bos_token }}{% for message in messages %}{% set content =
    """
    roles = [role for role in ("system", "user", "assistant") if role in form.turns]
    branches = "".join(f"{{% {'elif' if number else 'if'} message['role'] == '{role}' %}}{_jinja_turn(form, role)}"
                       for number, role in enumerate(roles))
    return (f"{_jinja(form.begin)}{_jinja_default(form)}{{% for message in messages %}}"
            f"{{% set content = message['content'] %}}{_jinja_fold(form)}{branches}{{% endif %}}{{% endfor %}}"
            + (f"{{% if add_generation_prompt %}}{_jinja(form.asks)}{{% endif %}}" if form.asks else ""))


def _jinja_turn(form: ChatFormat, role: Role) -> str:
    before, after = form.turns[role]
    return f"{_jinja(before)}{{{{ {_jinja_content(form, role)} }}}}{_jinja(after)}"


def _jinja_content(form: ChatFormat, role: Role) -> str:
    content = "content"
    if role == "assistant" and form.forgets_until:
        end = _quoted(form.forgets_until)
        content = f"(content.split({end})[-1].lstrip({_quoted(chr(10))}) if {end} in content else content)"
    return f"{content}.strip()" if form.trims else content


def _jinja_default(form: ChatFormat) -> str:
    """The system text of a conversation that has none."""
    if not form.default_system or "system" not in form.turns:
        return ""
    before, after = form.turns["system"]
    return (f"{{% if messages[0]['role'] != 'system' %}}{_jinja([*before, form.default_system, *after])}"
            "{% endif %}")


def _jinja_fold(form: ChatFormat) -> str:
    """The system text before the first question, where the format has no turn for it."""
    if "system" in form.turns:
        return ""
    before, after = map(_quoted, form.around_system)
    return ("{% if loop.index0 == 1 and messages[0]['role'] == 'system' %}{% set content = "
            f"{before} + messages[0]['content'] + {after} + content %}}{{% endif %}}")


def _jinja(marks: Iterable[str | Special]) -> str:
    parts = [_quoted(mark) if isinstance(mark, str) else _TOKENS.get(mark.entry) or _quoted(mark.entry)
             for mark in marks]
    return f"{{{{ {' + '.join(parts)} }}}}" if parts else ""


def _quoted(text: str) -> str:
    """A text as Jinja spells it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def go_template(form: ChatFormat, spelled: Callable[[Special], str]) -> str:
    """The template of a format for Ollama, which fills it in for each question with its answer, and cuts it off where
    the model is to answer. Ollama itself puts `<bos>` before everything.

    Args:
        spelled: the text of a special token in the file of the model.

    >>> from tinylm.chat.chat_format import TURNS
    >>> go_template(TURNS, lambda special: "</s>")
    '{{ if .System }}{{ .System }}\\n\\n{{ end }}{{ .Prompt }}</s>{{ .Response }}</s>'
    """
    def text(marks: Iterable[str | Special]) -> str:
        return "".join(mark if isinstance(mark, str) else "" if mark.entry == BOS else spelled(mark) for mark in marks)

    user, assistant = form.turns["user"], form.turns["assistant"]
    around = tuple(map(text, form.turns["system"])) if "system" in form.turns else form.around_system
    system = f"{{{{ if .System }}}}{around[0]}{{{{ .System }}}}{around[1]}{{{{ end }}}}"
    before, after = text(user.before), text(user.after)
    question = f"{system}{before}{{{{ .Prompt }}}}{after}" if "system" in form.turns else \
        f"{before}{system}{{{{ .Prompt }}}}{after}"
    return f"{question}{text(form.asks)}{{{{ .Response }}}}{text(assistant.after)}"
