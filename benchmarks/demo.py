"""The demo over several seeds: pre-trained against scratch at equal steps and at three times as many (small scale).

    python -m benchmarks.demo [seeds=0,1,2] [runs=runs/bench-demo] [out=benchmarks/results/demo.json]

A seed changes the scenes (which glyphs are held out, and every composition), the start values and the order.
"""

import json
import statistics
import sys
from pathlib import Path

from benchmarks.machine import describe_machine
from fastitpn.commands.demo import LONGER, PRETRAINED, SCRATCH, run_demo
from fastitpn.commands.demo import DemoConfig
from fastitpn.config import build
from fastitpn.runs.run import Run

ARMS = {PRETRAINED: "finetuned", SCRATCH: "scratch", LONGER: "scratch-3x"}


def main() -> None:
    """Run the demo for each seed, print and store the top-1 accuracies of the last step."""
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    folder = Path(options.get("runs", "runs/bench-demo"))
    rows = []
    for seed in (int(word) for word in options.get("seeds", "0,1,2").split(",")):
        out = folder / str(seed)
        run_demo(build(DemoConfig, {"out": out, "seed": seed}))
        rows.append({"seed": seed, **{arm: Run(out / name).metrics["top1"] for arm, name in ARMS.items()}})
        print(json.dumps(rows[-1]), flush=True)
    gains = {f"gain over {arm}": [row[PRETRAINED] - row[arm] for row in rows] for arm in (SCRATCH, LONGER)}
    summary = {
        name: {"mean": round(statistics.mean(values), 2), "spread": [round(min(values), 2), round(max(values), 2)]}
        for name, values in {**{arm: [row[arm] for row in rows] for arm in ARMS}, **gains}.items()
    }
    result = {
        "command": "python -m " + " ".join(["benchmarks.demo", *sys.argv[1:]]),
        "scale": "fastitpn_nano at 64 px, 3000 scenes without labels, 240 with, 600 to validate on, six classes",
        **describe_machine(),
        "rows": rows,
        "summary": summary,
    }
    print(json.dumps(summary, indent=1))
    if "out" in options:
        Path(options["out"]).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
