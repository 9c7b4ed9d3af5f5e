"""Requests that mean harm or make no sense: as bytes on a connection, as bodies, and as values of fields."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

HOST = "Host: OURS\r\n"
"""To be filled in: the server's own."""
JSON = "Content-Type: application/json\r\n"
FINE = '{"model": "characters", "prompt": "a", "max_tokens": 1}'


def post(head: str, body: str = "", path: str = "/v1/completions") -> bytes:
    return f"POST {path} HTTP/1.1\r\n{HOST}{JSON}{head}\r\n{body}".encode("latin-1")


def get(path: str, head: str = "", version: str = "HTTP/1.1") -> bytes:
    return f"GET {path} {version}\r\n{HOST}{head}\r\n".encode("latin-1")


def chunked(chunks: str, more: str = "") -> bytes:
    return post(f"Transfer-Encoding: chunked\r\n{more}", chunks)


LENGTH = f"Content-Length: {len(FINE)}\r\n"
AS_CHUNK = f"{len(FINE):x}\r\n{FINE}\r\n0\r\n\r\n"

REFUSED: dict[str, bytes] = {
    "nothing but a line end": b"\r\n\r\n",
    "no HTTP at all": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)) + b"\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "all bytes": bytes(range(256)) + b"\r\n\r\n",
    "zeros": b"\0" * 5000 + b"\r\n\r\n",
    "a line without an end": b"GET /" + b"a" * 200_000,
    "a long path": get("/" + "a" * 100_000),
    "a long query": get("/v1/models?" + "a=b&" * 30_000),
    "a long header": get("/v1/models", f"X: {'a' * 100_000}\r\n"),
    "a long name of a header": get("/v1/models", f"{'x' * 100_000}: a\r\n"),
    "many headers": get("/v1/models", "".join(f"X-{n}: {n}\r\n" for n in range(20_000))),
    "a version that is none": get("/v1/models", version="HTTP/9.9"),
    "a version without a number": get("/v1/models", version="HTTP/"),
    "no version": f"GET /v1/models\r\n{HOST}\r\n".encode(),
    "three words too many": get("/v1/models and more words"),
    "a zero in the path": get("/v1/\0models"),
    "a zero in a header": get("/v1/models", "X: a\0b\r\n"),
    "a line end in a name": get("/v1/models", "X\rY: a\r\n"),
    "a lone line end in a value": get("/v1/models", "X: a\rY: b\r\n"),
    "a header without a colon": get("/v1/models", "nonsense\r\n"),
    "a header without a name": get("/v1/models", ": a\r\n"),
    "a space in a name": get("/v1/models", "X Y: a\r\n"),
    "a space before the colon": get("/v1/models", "X : a\r\n"),
    "a method of control characters": b"\x01\x02 / HTTP/1.1\r\nHost: OURS\r\n\r\n",
    "a length that is negative": post("Content-Length: -5\r\n", FINE),
    "a length that is no number": post("Content-Length: five\r\n", FINE),
    "a length with a plus": post("Content-Length: +5\r\n", FINE),
    "a length in hexadecimal": post("Content-Length: 0x10\r\n", FINE),
    "a length that is a list": post("Content-Length: 5, 6\r\n", FINE),
    "two lengths": post(f"{LENGTH}Content-Length: 3\r\n", FINE),
    "a length beyond all bounds": post("Content-Length: 99999999999999999999999\r\n", FINE),
    "a length of a terabyte": post("Content-Length: 1000000000000\r\n", FINE),
    "a length in other digits": post("Content-Length: \xb2\r\n", FINE),
    "a chunk that is no number": chunked("xyz\r\nabc\r\n0\r\n\r\n"),
    "a chunk that is negative": chunked("-5\r\nabc\r\n0\r\n\r\n"),
    "a chunk beyond all bounds": chunked("ffffffffffffffffffff\r\nabc"),
    "a chunk that is longer than it says": chunked("1\r\nabc\r\n0\r\n\r\n"),
    "a chunk with an endless extension": chunked("5;" + "x" * 200_000),
    "endless trailers": chunked(AS_CHUNK[:-2] + "".join(f"X-{n}: {n}\r\n" for n in range(20_000)) + "\r\n"),
    "an encoding that is unknown": post("Transfer-Encoding: magic\r\n", FINE),
    "chunked twice": post("Transfer-Encoding: chunked, chunked\r\n", AS_CHUNK),
    "a compressed body": post(f"{LENGTH}Content-Encoding: gzip\r\n", FINE),
    "a great body": post("Content-Length: 30000000\r\n", "[" * 3_000_000),
    "a great body in chunks": chunked(("100000\r\n" + "a" * 0x100000 + "\r\n") * 30),
    "an expectation": post(f"{LENGTH}Expect: magic\r\n", FINE.replace("1}", '"x"}')),
    "a tunnel": b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: OURS\r\n\r\n",
    "another site's address": b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "a file": get("/../../../../etc/passwd"),
    "a file in disguise": get("/%2e%2e/%2e%2e/etc/passwd"),
    "a model outside": get("/v1/models/..%2f..%2fetc%2fpasswd"),
    "a model that is a path": get("/v1/models//etc/passwd"),
    "percent and no number": get("/v1/%zz%"),
    "bytes that are no UTF-8": get("/v1/models/%ff%fe"),
}
"""Refused, or hung up on."""

PUZZLING: dict[str, bytes] = {
    "empty lines before": b"\r\n\r\n" + get("/v1/models", "Connection: close\r\n"),
    "length and chunks": post(f"{LENGTH}Transfer-Encoding: chunked\r\nConnection: close\r\n", AS_CHUNK),
    "an old version": get("/v1/models", version="HTTP/1.0"),
    "a fragment": get("/v1/models#here", "Connection: close\r\n"),
    "a name of odd characters": get("/v1/models", "!#$%&'*+-.^_`|~: x\r\nConnection: close\r\n"),
    "a folded header": get("/v1/models", "X: a\r\n b\r\nConnection: close\r\n"),
    "a length twice the same": post(f"{LENGTH}{LENGTH}Connection: close\r\n", FINE),
    "a chunk of many zeros": chunked("0000000000000000" + AS_CHUNK, "Connection: close\r\n"),
    "a hundred at once": get("/healthz") * 99 + get("/healthz", "Connection: close\r\n"),
    "a smuggled one": post("Content-Length: 2\r\n", "{}") + get("/healthz", "Connection: close\r\n"),
    "a good one and nonsense": get("/healthz") + b"nonsense\r\n\r\n",
    "waits to be asked": post(f"{LENGTH}Expect: 100-continue\r\nConnection: close\r\n", FINE),
    "a body where none belongs": get("/v1/models", f"{LENGTH}Connection: close\r\n") + FINE.encode(),
}
"""Answered in one way or another."""

DEEP = 100_000
NOT_JSON = ["", " ", "{", "}", "[", "nul", "null", "true", "5", '"text"', "[]", "[{}]", "{}{}", '{"model"}',
            "{'model': 'x'}", '{"model": }', '{"a": 1,}', '{"a" 1}', '{"prompt": "\\x00"}', '{"prompt": "\\ud8"}',
            '{"prompt": "a', "\ufeff{}", "[" * DEEP, '{"a":' * DEEP, "[" * DEEP + "]" * DEEP,
            '{"prompt": ' + "[" * DEEP + "]" * DEEP + "}", '{"logit_bias": ' + '{"a":' * DEEP + "1" + "}" * DEEP + "}",
            "0" * 100_000, "-", "1e", "1" * 100_000, '"\x01"', "NaN", "Infinity",
            "{" + ",".join(f'"k{n}": {n}' for n in range(50_000)) + "}", "\0", "{}\0", "---\na: b", "a=b&c=d"]
"""Bodies that are no JSON, or no object, or an object without what is needed."""
NOT_TEXT = [b"\xff\xfe{\0}\0", b"\xfe\xff\0{\0}", b'{"prompt": "\xff"}', b'{"prompt": "\xc3"}',
            b'{"prompt": "\xed\xa0\x80"}', b'{"prompt": "\xf5\x80\x80\x80"}', b"\x80", b"\x1f\x8b\x08\0\0\0\0\0",
            bytes(range(256)), b"\0" * 10_000]
"""Bodies that are no UTF-8."""


class Wrong(NamedTuple):
    """A field's value as JSON, which is refused with the field named."""

    field: str
    value: str


ANYTHING = ['"x"', "[]", "{}", "true", "[1]", '"\\u0000"']
NOT_A_NUMBER = [*ANYTHING, "NaN", "Infinity", "-Infinity", "1e400", '"1"', "1" + "0" * 400]
WRONG: dict[str, list[str]] = {
    "model": ["1", "[]", "{}", "true", '"no-such"', '""', '"../characters"', '"/etc/passwd"', '"characters\\u0000"',
              '"\\ud800"', '"' + "m" * 10_000 + '"'],
    "prompt": ["1", "{}", "true", "[[]]", "[true]", "[1.5]", "[-1]", "[999999]", "[[999999]]", '["a", 1]', "[[1], 2]",
               "[null]", "[[[1]]]", '[["a"]]', "[1" + "0" * 30 + "]", '"\\ud800"', '["a", "\\udfff"]',
               '"☃ is not in its alphabet"', "[" + ",".join(['"a"'] * 5_000) + "]"],
    "max_tokens": [*NOT_A_NUMBER, "-2", "1.5", "9223372036854775808"],
    "temperature": [*NOT_A_NUMBER, "-0.1", "-1e300"],
    "top_p": [*NOT_A_NUMBER, "-0.1", "1.1"],
    "n": [*NOT_A_NUMBER, "0", "-1", "1.5", "1000000"],
    "stream": ['"true"', "1", "[]", "{}"],
    "stream_options": ['"x"', "[]", "1", "true"],
    "logprobs": [*NOT_A_NUMBER, "-1", "1000000", "1.5"],
    "echo": ['"true"', "1", "[]", "{}"],
    "stop": ["1", "{}", "true", "[1]", '[["a"]]', "[null]", '"\\ud800"', "[" + ",".join(['"a"'] * 5_000) + "]"],
    "seed": [*NOT_A_NUMBER, "1.5", "99999999999999999999999999"],
    "logit_bias": ['"x"', "[]", "1", "true", '{"x": 1}', '{"-1": 1}', '{"999999": 1}', '{"3": "1"}', '{"3": NaN}',
                   '{"3": 1e400}', '{"3": 101}', '{"3": null}', '{"": 1}', '{"3": true}', '{"³": 1}', '{"3 ": 1}',
                   '{"0x3": 1}'],
    "presence_penalty": [*NOT_A_NUMBER, "-2.1", "2.1"],
    "frequency_penalty": [*NOT_A_NUMBER, "-2.1", "2.1"],
    "top_k": [*NOT_A_NUMBER, "-2", "1.5"],
    "min_p": [*NOT_A_NUMBER, "-0.1", "1.1"],
    "repetition_penalty": [*NOT_A_NUMBER, "0", "-1"],
}
FIELDS = [Wrong(field, value) for field, values in WRONG.items() for value in values]


def with_field(wrong: Wrong) -> bytes:
    """A body that is fine but for one field."""
    fields: dict[str, Any] = {name: json.dumps(value) for name, value in json.loads(FINE).items()}
    fields[wrong.field] = wrong.value
    return ("{" + ",".join(f'"{name}": {value}' for name, value in fields.items()) + "}").encode()
