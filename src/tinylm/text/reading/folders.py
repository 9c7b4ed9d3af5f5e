"""Folders: the text files in one, and the files that are passed over, with the reasons."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tinylm.errors import TinyLMError, command
from tinylm.system.untrusted import quoted
from tinylm.text.formats.extracted import RECORDS, Unreadable
from tinylm.text.reading.decoding import read_text, settled_encoding, why_no_text
from tinylm.text.reading.packed import without_packing
from tinylm.text.reading.sources import Options, Source, file_source

if TYPE_CHECKING:
    from tinylm.text.formats.reading import Formatted

PROGRAM_KINDS = frozenset((
    ".svg", ".css", ".scss", ".less", ".map", ".xsd", ".xsl", ".plist", ".ini", ".cfg", ".conf",
    ".config", ".toml", ".yaml", ".yml", ".properties", ".lock", ".url", ".lnk", ".desktop", ".webloc", ".pem", ".crt",
    ".key", ".csproj", ".sln", ".iml", ".bak", ".tmp", ".swp"))
"""Suffixes of markup and settings that programs wrote for programs."""
PROGRAM_FOLDERS = frozenset(("node_modules", "__pycache__", "site-packages", "__MACOSX"))
FILES_OF_WINDOWS = ("desktop.ini", "thumbs.db")
NAMES_SHOWN = 3
"""Files named for each reason."""


class Selection(NamedTuple):
    """The texts of a folder in the order of their paths, and sentences for people about the choice."""

    sources: list[Source]
    notes: list[str]


def select_texts(folder: Path, options: Options) -> Selection:
    """The text files below a folder, sorted by path.

    Taken: files that hold text, by their content, with any suffix or none, packed or not; links to files and folders
    are followed, each once. Passed over: model folders of tinylm, hidden files and folders, virtual environments,
    `PROGRAM_FOLDERS`, pictures and other files that are no text, texts in an encoding that neither a mark nor
    `options.encoding` tells, empty files, files and folders that cannot be read, and `PROGRAM_KINDS` where the folder
    holds other texts.

    Raises:
        TinyLMError: there is no text among them, or the folder is a model folder.
    """
    if is_model_folder(folder):
        raise TinyLMError("is a model folder, and no text", where=str(folder),
                          remedy=f"To go on with its training: {command('train', '--resume', '--out', folder)}")
    from tinylm.text.formats.recognise import BY_SUFFIX

    named = [suffix for suffix, kind in BY_SUFFIX.items() if kind == options.documents]
    found, for_programs = _Finder(folder), list[Path]()
    sources: list[Source] = []
    for path in sorted(found.files):
        if named and without_packing(path).suffix.lower() not in named:
            found.pass_over(path, f"not named {' or '.join(named)}")
        elif _is_for_programs(path):
            for_programs.append(path)
        else:
            sources += found.taken(path, options)
    if sources:
        for path in for_programs:
            found.pass_over(path, "backup" if _is_backup(path) else "markup or settings of programs")
    else:
        sources = [source for path in for_programs for source in found.taken(path, options)]
    if not sources:
        kind = " or ".join(named) or "text"
        raise TinyLMError(f"this folder holds no {kind} files", where=str(folder), remedy=". ".join(
            [*found.sentences(options), "Give a folder with such files, or one file"]))
    return Selection(sources, [_taken(sources), *found.sentences(options)])


def is_model_folder(folder: Path) -> bool:
    """True for a folder that a run of tinylm wrote, finished or not."""
    return (folder / "config.json").is_file() and any(
        (folder / name).exists() for name in ("tokenizer.json", "model.safetensors", "checkpoints"))


def _is_for_programs(path: Path) -> bool:
    path = without_packing(path)
    return path.suffix.lower() in PROGRAM_KINDS or path.name.lower().endswith(".min.js") or _is_backup(path)


def _is_backup(path: Path) -> bool:
    return path.name.endswith("~") or path.suffix.lower() == ".bak"


class _Finder:
    """Finds the files below a folder, and collects those passed over, by reason."""

    def __init__(self, root: Path) -> None:
        self.files: list[Path] = []
        self._root, self._real_root = root, os.path.realpath(root)
        self._passed: dict[str, list[Path]] = {}
        self._passed_folders: dict[str, list[Path]] = {}
        self._seen: set[str] = {self._real_root}
        for parent, folders, files in os.walk(root, onerror=self._unreadable, followlinks=True):
            folders[:] = [name for name in sorted(folders) if self._enters(Path(parent, name))]
            for name in sorted(files):
                self._find(Path(parent, name))

    def taken(self, path: Path, options: Options) -> list[Source]:
        """The source for a file that holds text; else None, and the reason is recorded."""
        try:
            source = file_source(path, options)
            encoding = settled_encoding(path, source.where, options.encoding)
            is_plain = not source.formatted or source.documents in RECORDS
            reason = why_no_text(path, encoding) if is_plain else ""
            if source.formatted and not reason:
                reason = _why_unread(source.formatted)
        except TinyLMError as error:
            reason = error.what
        if reason:
            self.pass_over(path, reason)
        return [] if reason else [source]

    def pass_over(self, path: Path, reason: str) -> None:
        label = re.sub(r"^is (an? )?|, and no text$|[:;(].*$", "", reason).strip()
        self._passed.setdefault(label, []).append(path)

    def sentences(self, options: Options) -> list[str]:
        """Sentences about files and folders passed over: the reasons, most frequent first, with counts and names."""
        said = []
        for kind, passed in (("file", self._passed), ("folder", self._passed_folders)):
            if count := sum(map(len, passed.values())):
                groups = sorted(passed.items(), key=lambda group: -len(group[1]))
                said.append(f"passed over {count:,} {kind}{'s' * (count != 1)}: " + "; ".join(
                    f"{reason}: {len(paths):,} ({self._names(paths)}{_way_to_read(paths[0], reason, options)})"
                    for reason, paths in groups))
        return said

    def _enters(self, folder: Path) -> bool:
        real = os.path.realpath(folder)
        reason = _why_not_entered(folder)
        if not reason and _is_below(self._real_root, real):
            reason = "link to a folder that holds this one"
        elif not reason and (real in self._seen or (os.path.islink(folder) and _is_below(real, self._real_root))):
            reason = "link to a folder that is read anyway"
        if reason:
            self._passed_folders.setdefault(reason, []).append(folder)
        else:
            self._seen.add(real)
        return not reason

    def _find(self, path: Path) -> None:
        try:
            mode = path.stat().st_mode
        except OSError as error:
            broken = os.path.islink(path) and not path.exists()
            self.pass_over(path, "link that leads nowhere" if broken else f"cannot be read ({error.strerror})")
            return
        if _is_hidden(path):
            self.pass_over(path, "hidden")
        elif not stat.S_ISREG(mode):
            self.pass_over(path, "no regular file")
        elif os.path.islink(path) and self._is_read_anyway(path):
            self.pass_over(path, "link to a file that is read anyway")
        else:
            self.files.append(path)

    def _is_read_anyway(self, link: Path) -> bool:
        """True if the link leads to a file below the folder, or where another link has led."""
        real = os.path.realpath(link)
        inside = _is_below(real, self._real_root)
        hidden = inside and any(part.startswith(".") for part in Path(real).relative_to(self._real_root).parts)
        known = real in self._seen
        self._seen.add(real)
        return known or (inside and not hidden)

    def _unreadable(self, error: OSError) -> None:
        if os.path.realpath(error.filename) == self._real_root:
            raise error
        self._passed_folders.setdefault(f"cannot be read ({error.strerror})", []).append(Path(error.filename))

    def _names(self, paths: list[Path]) -> str:
        names = [quoted(os.path.relpath(path, self._root)) for path in paths[:NAMES_SHOWN]]
        return ", ".join(names) + (", ..." if len(paths) > NAMES_SHOWN else "")


def _is_hidden(path: Path) -> bool:
    """True for a name with a dot before it, what Windows' attribute hides, and files that Windows keeps for itself."""
    hidden_name = path.name.startswith(".") or path.name.lower() in FILES_OF_WINDOWS
    return hidden_name or bool(_attributes(path) & stat.FILE_ATTRIBUTE_HIDDEN)


def _attributes(path: Path) -> int:
    """Windows' attributes of a file or folder; 0 on other systems."""
    try:
        return int(getattr(path.lstat(), "st_file_attributes", 0))
    except OSError:
        return 0


def _why_not_entered(folder: Path) -> str:
    if _is_hidden(folder):
        return "hidden"
    if folder.name in PROGRAM_FOLDERS:
        return "part of programs"
    if (folder / "pyvenv.cfg").is_file():
        return "virtual environment of Python"
    return "model folder of tinylm" if is_model_folder(folder) else ""


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))


def _why_unread(file: Formatted) -> str:
    """The reason why a file in a format has no text; empty if it has one, also if one of its records is bad."""
    try:
        return "" if next(file.texts(lambda _: None), None) else "is empty"
    except Unreadable as error:
        return error.what
    except TinyLMError:
        return ""


def _way_to_read(path: Path, reason: str, options: Options) -> str:
    """The option that reads the first of some texts in an unknown encoding; empty if there is none."""
    if not reason.startswith(("not UTF-8", "looks like UTF-")):
        return ""
    try:
        next(read_text(path, str(path), options.encoding), "")
    except TinyLMError as error:
        if found := re.search(r"--encoding [\w-]+", error.remedy):
            return f"; {found[0]} reads {'it' if reason.startswith('looks') else 'the first, most likely'}"
    return ""


def _taken(sources: list[Source]) -> str:
    counts = Counter(Path(source.where).suffix.lower() or "without a suffix" for source in sources)
    return "took " + ", ".join(f"{count:,} {suffix}" for suffix, count in counts.most_common())
