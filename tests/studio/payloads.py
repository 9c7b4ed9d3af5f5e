"""Names and texts that mean something to a shell, a path, a browser or a format, and must mean nothing here."""

from __future__ import annotations

PATHS = ["..", ".", "../x", "..\\x", "/etc/passwd", "C:\\x", "C:x", "\\\\server\\share", "a/b", "a\\b", "./a",
         "a/../../b", "%2e%2e%2f", "..%2f..%2fx", "~", "~root", "$HOME", "${HOME}", "%APPDATA%", ".studio", ".hidden",
         "....//", "/", "//", "\\", "file:///etc/passwd", "a\x00b", "\x00", "a\nb", "a\r\nb", "a\tb", " ", "", "a ",
         " a", "a.", "a..", "con", "CON", "nul", "aux.txt", "COM1", "lpt9.log", "PRN", "a:b", "a*b", "a?b", "a<b",
         "a>b", "a|b", 'a"b', 'x' * 101, 'x' * 5000, '\xe9' * 150, '\ud7ff' * 120, "desktop.ini:stream", "a/", "/a",
         "..a", "...", "-", "--"]
OPTIONS = ["--force", "-h", "--help", "--out=/tmp/x", "--resume", "--set=train.steps=1", "--", "-rf", "@file", "--json",
           "-", "--config=/etc/passwd", "--device=cuda", "--from=english", "--validation=/etc/passwd"]
SHELL = ["; rm -rf /", "$(touch x)", "`touch x`", "| cat /etc/passwd", "&& ls", "> x", "a'b", 'a"b', "a;b", "!!", "*",
         "?", "%s%n", "{0.__class__}", "${7*7}", "{{7*7}}", "<%= 7*7 %>", "#{7*7}", "\\x41", "\\u0041", "$IFS"]
MARKUP = ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>",
          "</title><script>x</script>", '"><script>x</script>', "'><img src=x onerror=x>", "javascript:alert(1)", "<b>",
          "</main>", "<!--", "-->", "<iframe src=//evil.example>", "<style>*{display:none}</style>",
          "<link rel=stylesheet href=//e>", "&lt;b&gt;", "&#x3c;b&#x3e;", "<base href=//e>",
          "<meta http-equiv=refresh content=0>", "<a href=x>", "<form action=x>", "<template>", "<math><mi>",
          "<details open ontoggle=x>", "]]>", "<![CDATA[x]]>", "<?xml?>", '<noscript><p title="', "\u2028<script>",
          "<\x00script>", "<scr\x00ipt>", "[red]a[/red]", "\x1b[31m", "\x1b]8;;http://e\x07", "\u202e<b>"]
UNICODE = ["\ufeff", "\u200b", "\u202e", "\u2066", "\xe9", "e\u0301", "\u65e5\u672c\u8a9e",
           "\u0627\u0644\u0639\u0631\u0628\u064a\u0629", "\U0001f642", "\U0001f469\u200d\U0001f469\u200d\U0001f467",
           "\ufb00", "\u0130", "\xdf", "\xa0", "\x7f", "\x85", "\u2028", "\uffff", "\U0010ffff", "\uff41", "K",
           "\u202eabc", "a\u0338", "\u0345", "\u01c4", "\u0131", "\ufdfa", "\U0001d54f", "\ue000", "\u3000"]
ESCAPES = ['"', "'", "\\", "\\\\", '\\"', "\\n", "null", "true", "NaN", "1e999", "[]", "{}", "[1", '{"a":1}', "0", "-1",
           '9' * 400]
SEEDS = [*PATHS, *OPTIONS, *SHELL, *MARKUP, *UNICODE, *ESCAPES]
ALL = list(dict.fromkeys([
    *SEEDS, *(f"a{seed}" for seed in (*PATHS, *MARKUP, *SHELL)),
    *(f"{seed}.txt" for seed in (*OPTIONS, *MARKUP, *UNICODE))]))
"""Over 300 of them, as they are and within a longer name."""
