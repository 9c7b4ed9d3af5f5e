"""Fingerprints of chat templates: the formats of models from elsewhere are recognised by the text of their template.

A template from elsewhere is a program in a language of its own (Jinja). It is never run here: its text is compared with
those that are known, and a `ChatFormat` says what a known one writes.
"""

from __future__ import annotations

import hashlib

from tinylm.chat.chat_format import FORMATS, ChatFormat
from tinylm.chat.templates import jinja_template

FINGERPRINTS: dict[str, str] = {
    "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788": "smollm2",
    "793202280c0910ab26bc6eb57c8212c2417324c6d8c4efd0d10d59092ab3e3eb": "qwen2",
    "a18cc698dd45623eb707279d08e66f7bb8d76afc89ead84016b88487b395b5cc": "qwen2.5",
    "2df317a15cbc983d9602cc391d33be17237d47ec7eb11ead80fae277143958aa": "qwen3",
    "153280e3ff55d19da1398bdb3914ee2a51b80429bfaedde11d7d216c39db80f3": "chatml",
    "66291cf0045c2425a3a667cf3cbb7af2b11f09e025c02f97245323ab79119362": "zephyr",
    "9780fae5bfea3cfd7be37d328c6edfd296a8869be8131495bbe7eb37e780c88c": "llama2",
    "ba03a121d097859c7b5b9cd03af99aafe95275210d2876f642ad9929a150f122": "llama3",
    "7e995b379ec01747807246483647cd99030abf331653f1119e16d7ac041a3495": "mistral-v0.1",
    "26a59556925c987317ce5291811ba3b7f32ec4c647c400c6cc7e3a9993007ba7": "mistral-v0.2",
    "1c6594f8393552ef16bbf3ddecb67d8258fb8d66339a1a092a8f8496061f02d3": "mistral-v1",
}
"""The fingerprint of a template -> the name of the format that it writes. docs/INTERCHANGE.md says of which models."""


def fingerprint(template: str) -> str:
    """The fingerprint of a template: the sha256 of its text in UTF-8, in hexadecimal.

    Files of one template differ in three things, which are made equal before: CRLF becomes a line feed, so does a
    backslash with an n after it, and white space at both ends is left out.

    >>> fingerprint("{{ 'a\\\\n' }}") == fingerprint("{{ 'a\\n' }}\\r\\n")
    True
    """
    text = template.replace("\r\n", "\n").replace("\\n", "\n").strip()
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def find_format(template: str) -> ChatFormat | None:
    """The format that a template writes; None: the template is not known here.

    >>> from tinylm.chat.chat_format import TURNS
    >>> find_format(jinja_template(TURNS)) is TURNS, find_format("{{ messages }}")
    (True, None)
    """
    print_ = fingerprint(template)
    if name := FINGERPRINTS.get(print_):
        return FORMATS[name]
    return next((each for each in FORMATS.values() if fingerprint(jinja_template(each)) == print_), None)
