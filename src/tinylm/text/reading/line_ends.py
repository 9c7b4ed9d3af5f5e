"""Line ends of other systems, read as \\n: CRLF of Windows, CR of old Macs. Form feeds, NEL, LS and PS stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class LineEnds:
    """Normalises texts and counts the line ends that it changed.

    Attributes:
        crlf, cr: the number of pairs CR LF, and of single CR.
    """

    def __init__(self) -> None:
        self.crlf = self.cr = 0

    def normalised(self, text: str) -> str:
        """A whole text with \\n for every CRLF and CR."""
        returns = text.count("\r")
        if not returns:
            return text
        pairs = text.count("\r\n")
        self.crlf, self.cr = self.crlf + pairs, self.cr + returns - pairs
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def normalised_chunks(self, chunks: Iterable[str]) -> Iterator[str]:
        """Yields the normalised chunks of a text; a chunk may end between the CR and the LF of a pair."""
        held = ""
        for chunk in chunks:
            chunk = held + chunk
            held = "\r" if chunk.endswith("\r") else ""
            if text := chunk.removesuffix("\r"):
                yield self.normalised(text)
        if held:
            yield self.normalised(held)

    def sentence(self) -> str:
        """The counts for people; empty if nothing was changed."""
        counts = [(self.crlf, "of Windows (CRLF)"), (self.cr, "of old Macs (CR)")]
        found = [f"{count:,} line end{'s' * (count != 1)} {kind}" for count, kind in counts if count]
        return f"{' and '.join(found)} read as \\n; --set data.line_ends=keep keeps them" if found else ""
