"""Units of a loss: nats a token is what training lowers, bits a byte is what compares across tokenizers."""

from __future__ import annotations

import math


def bits_per_byte(nats: float, n_bytes: int) -> float:
    """The loss on a text in bits a byte, from its sum in nats.

    Args:
        nats: the loss of all tokens of the text, summed.
        n_bytes: the length of the text in UTF-8.

    >>> round(bits_per_byte(1000 * math.log(256), n_bytes=1000), 6)
    8.0
    """
    return nats / math.log(2) / max(1, n_bytes)
