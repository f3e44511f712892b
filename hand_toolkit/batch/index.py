"""The index of a batch: one JSON line for each input, appended as it is finished."""

from __future__ import annotations

import heapq
import json
from pathlib import Path
from typing import IO, Any

from ..core.errors import InputError
from ..core.files import atomic_write
from .manifest import mark_of

WORST = 10


class Index:
    """Which inputs are finished, and the worst of them.

    Only 64 bits of each input are held. A line that a kill cut short is dropped and its input
    done again.

    Args:
        path: JSON lines; made if it does not exist. The first says what is done to the inputs.
        describes: JSON values of it; an index of other work is refused.
        retry: forget failures, so that their inputs are tried again.

    Raises:
        InputError: the file is of other work, or no index.
    """

    def __init__(self, path: Path, describes: dict[str, Any], retry: bool = False) -> None:
        self.path = path
        self.marks: set[int] = set()
        self.done = self.failed = 0
        self._worst: list[tuple[float, int, dict[str, Any]]] = []
        self._file: IO[bytes] | None = None
        head = json.loads(json.dumps({"batch": describes}))
        kept: list[bytes] | None = None
        if path.is_file():
            kept = self._read(head, retry)
        if kept is not None or not path.is_file():
            lines = kept or [json.dumps(head).encode() + b"\n"]
            atomic_write(path, b"".join(lines))
        self._file = path.open("ab")

    def _read(self, head: dict[str, Any], retry: bool) -> list[bytes] | None:
        """Take up what is there; returns the lines to keep if they are not all."""
        rewrite, lines = False, []
        with self.path.open("rb") as file:
            for number, line in enumerate(file):
                try:
                    row = json.loads(line)
                    if number == 0:
                        same = row == head
                    else:
                        mark, status = mark_of(row["input"]), row["status"]
                except (ValueError, KeyError, TypeError) as error:
                    if number and not line.endswith(b"\n"):
                        rewrite = True  # a kill cut it short
                        continue
                    raise InputError(
                        f"line {number + 1} of {self.path} is no line of a batch's index; give "
                        "another folder, or remove the line"
                    ) from error
                if number == 0 and not same:
                    raise InputError(
                        f"{self.path} is of a batch with another task or other settings; give "
                        "another folder, or the settings that it was begun with"
                    )
                if number == 0 or status == "done" or not retry:
                    lines.append(line)
                    if number:
                        self._note(mark, row)
                else:
                    rewrite = True
        if not lines:
            return [json.dumps(head).encode() + b"\n"]
        return lines if rewrite else None

    def add(self, row: dict[str, Any]) -> None:
        """Append one input's row; it has ``input``, ``status`` and what the task tells."""
        assert self._file is not None
        self._file.write(json.dumps(row, ensure_ascii=True).encode() + b"\n")
        self._file.flush()
        self._note(mark_of(row["input"]), row)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    @property
    def worst(self) -> list[dict[str, Any]]:
        """At most ten rows, the worst first: failures, then the least confident."""
        return [row for _, _, row in sorted(self._worst, key=lambda w: w[:2], reverse=True)]

    def _note(self, mark: int, row: dict[str, Any]) -> None:
        self.marks.add(mark)
        failed = row["status"] != "done"
        self.failed += failed
        self.done += not failed
        confidence = row.get("confidence")
        if not failed and not isinstance(confidence, (int, float)):
            return
        score = -1.0 if failed else float(confidence)  # type: ignore[arg-type]
        # a heap whose smallest is the best of the worst; the number keeps rows from comparison
        number = self.done + self.failed
        entry = (-score, -number, row)
        if len(self._worst) < WORST:
            heapq.heappush(self._worst, entry)
        else:
            heapq.heappushpop(self._worst, entry)
