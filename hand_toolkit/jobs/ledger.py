"""Remembers what is finished, for work whose results are not files of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.files import atomic_write


class Ledger:
    """One JSON line per finished task, written as it finishes.

    A line that a kill cut short is dropped, and its task done again.

    Args:
        path: the file; made if it does not exist.
        describes: JSON values of what is done (settings, versions); a ledger of another
            description is refused.

    Raises:
        InputError: the file is of other work, or cannot be written.
    """

    def __init__(self, path: Path, describes: Any = None) -> None:
        self.path = path
        self.results: dict[str, Any] = {}
        head = json.loads(json.dumps({"work": describes}))
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        whole, _, cut = text.rpartition("\n")
        try:
            rows = [json.loads(line) for line in whole.splitlines()]
            if rows and rows[0] != head:
                raise InputError(
                    f"{path} is of work with other settings; give another folder, or the settings "
                    "it was begun with"
                )
            self.results = {row["key"]: row["result"] for row in rows[1:]}
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path} is no ledger of finished work; remove it") from error
        if cut or not rows:
            lines = [head, *({"key": k, "result": v} for k, v in self.results.items())]
            atomic_write(path, "".join(json.dumps(line) + "\n" for line in lines))

    def add(self, key: str, result: Any) -> None:
        """Note a finished task with its result, of JSON values."""
        line = json.dumps({"key": key, "result": result}) + "\n"
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line)
        self.results[key] = result
