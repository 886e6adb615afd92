"""Watches a folder: new images are predicted as they come."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastitpn.console import say
from fastitpn.data.images.decode import EXTENSIONS
from fastitpn.data.images.folders import list_files
from fastitpn.errors import InputError
from fastitpn.files import append_line, write_text
from fastitpn.inference.prediction import PREDICTIONS, SHEET, Prediction
from fastitpn.inference.results import Result, Results, Skipped
from fastitpn.inference.written_pictures import is_of, save_picture
from fastitpn.reporting.values import printable
from fastitpn.runs.output import make_folder

POLL_S = 1.0
_TRIES = 3
"""A file that cannot be read is looked at again so often: it may be written in parts."""


class NewImages:
    """The images of a folder that are new and complete: of the same size and time as when they were seen before.

    Args:
        folder: Folder to watch, with its sub-folders.
        written: Files and folders that are none of them.
    """

    def __init__(self, folder: Path, written: list[Path]):
        self._folder, self._written = folder, written
        self._known: dict[Path, tuple[int, int]] = {}
        self._given: set[Path] = set()

    def __call__(self) -> list[Path]:
        """Those since the last call, the earliest first."""
        ready = []
        for path in list_files(self._folder, EXTENSIONS):
            if path in self._given or is_of(path, self._written):
                continue
            try:
                status = path.stat()
            except OSError:  # it was moved away
                continue
            state = (status.st_size, status.st_mtime_ns)
            if state[0] and self._known.get(path) == state:
                ready.append((state[1], path))
            self._known[path] = state
        self._given.update(path for _, path in ready)
        return [path for _, path in sorted(ready)]


def watch(
    prediction: Prediction[Any], source: Path, out: Path, *, sleep: Callable[[float], None] = time.sleep
) -> Results[Any]:
    """Predict the images of a folder and those that come, until the user stops it with Ctrl-C.

    Pictures and lines of `predictions.jsonl` are written at once, all else at the end.

    Args:
        prediction: The task's predictor, and what it writes of a result.
        source: The folder.
        out: Folder for the results.
        sleep: Waits for seconds.

    Raises:
        InputError: The source is no folder.
    """
    if not source.is_dir():
        raise InputError("watch=true is for a folder", where=source, expected="a folder", fix="watch=false")
    make_folder(out)
    write_text(out / PREDICTIONS, "")
    new_images = NewImages(source, [out.resolve() / name for name in (SHEET, *prediction.pictures)])
    say(f"watching {source}, until Ctrl-C: what is predicted goes to {out}")
    predicted: list[Result] = []
    skipped: dict[Path, Skipped] = {}
    tries: dict[Path, int] = {}
    names: set[Path] = set()
    try:
        while True:
            again = [path for path, number in tries.items() if number < _TRIES]
            for path, result in _predict(prediction, [*new_images(), *again]):
                if isinstance(result, Skipped):
                    tries[path] = tries.get(path, 0) + 1
                    if tries[path] == _TRIES:
                        skipped[path] = replace(result, index=len(skipped))
                        say(printable(f"skipped: {path}: {result.reason}"), error=True)
                    continue
                tries.pop(path, None)
                place = path.relative_to(source)
                name = place.with_suffix(".png")
                name = place.with_name(f"{place.name}.png") if name in names else name
                names.add(name)
                written = prediction.write(replace(result, index=len(predicted)), out, name)
                predicted.append(written)
                append_line(out / PREDICTIONS, json.dumps(written.to_json(), ensure_ascii=False))
                say(printable(f"{place}: {written.summary()}"))
            sleep(POLL_S)
    except KeyboardInterrupt:
        say(f"\nstopped: {len(predicted)} images were predicted", error=True)
    results = prediction.predictor.results(tuple(predicted), tuple(skipped.values()))
    if predicted:
        prediction.finish(results, source, out)
        save_picture(results.contact_sheet(), out / SHEET)
        for line in (*prediction.closing(results, source, out), *prediction.write_more(results, source, out)):
            say(line)
    return results


def _predict(prediction: Prediction[Any], paths: list[Path]) -> Iterator[tuple[Path, Any]]:
    if paths:
        stream = prediction.predictor.stream(paths, batch=prediction.batch, on_error="skip", **prediction.options)
        yield from zip(paths, stream, strict=True)
