"""Commands run in this very process, for the situations of `shared/cases.md` and their kin."""

from __future__ import annotations

from tests.cli.conftest import tinylm

__all__ = ["tinylm"]
