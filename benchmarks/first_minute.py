"""What a user waits for: the import, the first line and the first bar of a training; and the size of a long report.

    python -m benchmarks.first_minute data=FOLDER photographs=FOLDER [key=value ...]

`data` has train and val with folders of classes, `photographs` any images. Processes are started afresh in turns, round
after round. Seconds are of the clock, and in brackets of the processor, to which other work on the machine counts less:

    import    `import fastitpn` over `import timm`
    training  `fastitpn finetune classify data=FOLDER` in a terminal: until the first line, and until the first bar; the
              import of what a training needs (torch, torchvision, timm, lightning-fabric) is timed by itself
    report    a page with the curves of 100 epochs and 200 photographs, in MB
"""

import os
import pty
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from benchmarks.harness.options import Options as AnyOptions
from benchmarks.harness.options import start
from benchmarks.harness.results import Results, Row
from fastitpn.config.types import Count
from fastitpn.data.images.decode import read_image
from fastitpn.reporting.charts import curves
from fastitpn.reporting.pictures import Item
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Gallery, Picture, Section
from fastitpn.training.metric import LOSS

NEEDED = "import torch, torchvision, timm, lightning_fabric"
BAR = re.compile(r"[━╸╺]")
EPOCHS, STEPS, PICTURES = 100, 50, 200


@dataclass(frozen=True, kw_only=True)
class Options(AnyOptions):
    """First minute."""

    _unwritten = (*AnyOptions._unwritten, "data", "photographs")

    data: Path = Path("data")
    """Images to train and to validate on, in folders of classes."""
    photographs: Path = Path("photographs")
    """Images for the report."""
    rounds: Count = 5
    """Times that each is measured."""


def run_to_end(code: str) -> tuple[float, float]:
    """Seconds of the clock and of the processor that a Python process with this code takes."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, code
    return time.perf_counter() - begin, used.ru_utime + used.ru_stime


def first_signs(words: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Seconds until a command in a terminal has shown its first line, and its first bar; it is ended then."""
    terminal, inner = pty.openpty()
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", *words], stdin=inner, stdout=inner, stderr=inner)
    os.close(inner)
    seen, shown = dict[str, tuple[float, float]](), ""
    try:
        for part in _read(terminal):
            shown += part
            now = time.perf_counter() - begin, _processor_s(process.pid)
            if "\n" in shown:
                seen.setdefault("first line", now)
            if BAR.search(shown):
                return seen | {"first bar": now}
        raise RuntimeError(f"it ended without a bar:\n{shown}")
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def _read(terminal: int) -> Iterator[str]:
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            return
        if not part:
            return
        yield part.decode(errors="replace")


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def long_report(photographs: Path, file: Path) -> float:
    """Writes a page with the curves of `EPOCHS` and `PICTURES` photographs; its size in MB."""
    history = [
        {"step": step, "epoch": step / STEPS, "split": "train", "loss": 3 / (1 + step / 500) + 0.2 * (step % 7) / 7}
        for step in range(1, EPOCHS * STEPS + 1)
    ]
    history += [
        {"step": epoch * STEPS, "epoch": epoch, "split": "val", "loss": 3.2 / (1 + epoch / 10)}
        for epoch in range(1, EPOCHS + 1)
    ]
    paths = sorted(path for path in photographs.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    pictures = [Item(read_image(path), path.name, True) for path in islice(cycle(paths), PICTURES)]
    sections: list[Section] = [Picture("Loss", curves({"": history}, LOSS)), Gallery("Predictions", pictures)]
    write_report(file, title="A long run", sections=sections)
    return file.stat().st_size / 1e6


def describe_times(times: Sequence[tuple[float, float]]) -> dict[str, list[float]]:
    """Medians over the rounds: seconds of the clock and of the processor."""
    return {"s": [round(statistics.median(each), 2) for each in zip(*times, strict=True)]}


def run(options: Options) -> None:
    """Measures all, prints and stores it."""
    results = Results(options)
    times: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds + 1):
            words = ["fastitpn", "finetune", "classify", f"data={options.data}", f"out={folder}/{number}"]
            now = {
                "import timm": run_to_end("import timm"),
                "import fastitpn": run_to_end("import fastitpn"),
                "import what a training needs": run_to_end(NEEDED),
                **first_signs(words),
            }
            for name, seconds in now.items() if number > 0 else ():  # the first round warms the disk up
                times.setdefault(name, []).append(seconds)
        for name, each in times.items():
            results.add({"what": name, **describe_times(each)})
        pairs = zip(times["import fastitpn"], times["import timm"], strict=True)
        ratios = [ours[1] / timm[1] for ours, timm in pairs]
        spread = [round(min(ratios), 3), round(max(ratios), 3)]
        ratio: Row = {"what": "import fastitpn over import timm, of the processor"}
        results.add(ratio | {"ratio": round(statistics.median(ratios), 3), "range": spread})
        size = long_report(options.photographs, Path(folder) / "report.html")
        results.add({"what": f"report of {EPOCHS} epochs and {PICTURES} photographs", "mb": round(size, 2)})
    results.finish()


if __name__ == "__main__":
    start(Options, run)
