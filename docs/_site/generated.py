"""Parts of pages that are written down elsewhere: `facts.yaml`, benchmarks/results, recipes, examples, the code."""

import ast
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

import fastitpn
from fastitpn.data.classification.formats import registry as classes
from fastitpn.data.detection.formats import registry as boxes
from fastitpn.data.segmentation.formats import registry as masks
from fastitpn.models.registry import ARCHITECTURES

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
FACTS = yaml.safe_load(Path(__file__).with_name("facts.yaml").read_text(encoding="utf-8"))


def limits() -> str:
    """The list that the README has, too."""
    return "\n".join(f"- {limit}" for limit in FACTS["limits"])


def versions() -> str:
    """Which versions were run, and which older ones are taken without having been run."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = dict(line.split(">=") for line in project["dependencies"])
    run = [f"{name} {version}" for name, version in FACTS["versions"].items()]
    not_run = [f"{name} {oldest[name]}" for name in FACTS["versions"] if name in oldest]
    return (
        f"The tests were run with {_listed(run)}, on CPUs. Older versions are accepted, down to {_listed(not_run)}, "
        "but they were not run, and nothing was run on a GPU."
    )


def models() -> str:
    """A table of the registered sizes, with the published figures."""
    rows = []
    for name, architecture in ARCHITECTURES.items():
        model = fastitpn.create_model(name, pyramid=True, num_classes=0, device="meta")
        count, pyramid = (sum(p.numel() for p in part.parameters()) / 1e6 for part in (model, model.pyramid))
        depths = " + ".join(map(str, architecture.depths))
        dim = model.embed_dim
        published = FACTS["published_top1"].get(name)
        rows.append(
            (
                f"`{name}`",
                f"{count - pyramid:.1f}&nbsp;M",
                f"{pyramid:.1f}&nbsp;M",
                model.default_cfg["input_size"][1],
                depths,
                f"{dim // 4}, {dim // 2}, {dim}",
                f"{published} %" if published else "",
            )
        )
    head = ("model", "trunk", "pyramid", "native px", "blocks of stages 1, 2, 3", "channels at 1/4, 1/8, 1/16")
    return table((*head, "published top-1"), rows)


def recipes() -> str:
    """A table of the shipped recipes, from their headers."""
    rows = []
    for file in sorted((ROOT / "recipes").glob("*.yaml")):
        lines = re.match(r"(#.*\n)+", file.read_text(encoding="utf-8"))
        assert lines, f"{file.name} has no header"
        title = re.split(r"\n#   \w+ +", lines[0])[0].replace("\n#", "").lstrip("# ").strip()
        facts = dict(re.findall(r"^#   (\w+) +(\S.*)$", lines[0], re.M))
        rows.append((f"`{file.name}`", title, facts["hardware"]))
    return table(("recipe", "what it does", "hardware"), rows)


def tracker_encoder() -> str:
    """The class of the example, as it is."""
    text = (ROOT / "examples" / "tracker_encoder.py").read_text(encoding="utf-8")
    [encoder] = [node for node in ast.parse(text).body if getattr(node, "name", "") == "TrackerEncoder"]
    return f"```python\n{ast.get_source_segment(text, encoder)}\n```"


def extending(name: str) -> str:
    """A module that the tests add, as it is."""
    text = (ROOT / "tests" / "extending" / f"{name}.py").read_text(encoding="utf-8")
    return f"```python\n{text.rstrip()}\n```"


def label_formats(tasks: Iterable[str] = ("detect", "segment", "classify")) -> str:
    """A table of the registered formats of labels: how data must lie to be read as it is."""
    registries = {"detect": boxes.FORMATS, "segment": masks.FORMATS, "classify": classes.FORMATS}
    rows = [
        (f"`{task}`", f"`{name}`", registries[task][name].layout.replace("_", "\\_"))
        for task in tasks
        for name in registries[task]
    ]
    return table(("task", "format", "layout"), rows)


def figures() -> str:
    """Every stored result of a benchmark: what was run, where, and what came of it."""
    parts = []
    order = list(SECTIONS)
    for file in sorted(RESULTS.glob("*.json"), key=lambda f: (order.index(f.stem) if f.stem in order else 99, f.stem)):
        result = json.loads(file.read_text(encoding="utf-8"))
        title, make = SECTIONS.get(file.stem, (file.stem.replace("_", " ").capitalize(), _any_rows))
        machine = {**result, **result.get("environment", {})}
        words = ", ".join(f"{name} {machine[name]}" for name in ("torch", "timm", "fastitpn") if name in machine)
        threads = f"{machine['threads']} thread{'' if str(machine['threads']) == '1' else 's'}"
        computer = machine.get("gpu") or f"{machine['processor']}, {threads}"
        source = f"`{result['command']}`<br>{computer}; {words}; {machine['date']}"
        scale = "; ".join(str(result[name]) for name in ("scale", "steps") if isinstance(result.get(name), str))
        parts.append(
            "\n\n".join(
                [
                    f"## {title}",
                    *([f"{scale}."] if scale else []),
                    make(result),
                    f"<small>{source}. Stored in `benchmarks/results/{file.name}`.</small>",
                ]
            )
        )
    return "\n\n".join(parts)


def guarantees() -> str:
    """The promises with their tests, and the latest counts of `python -m benchmarks.trust`."""
    stored = json.loads((RESULTS / "trust.json").read_text(encoding="utf-8"))
    counted = {row["class"]: row for row in stored["rows"]}
    rows = [
        (
            number,
            entry["promise"],
            "<br>".join(f"`{test.removeprefix('tests/').replace('::', ' ')}`" for test in entry["tests"]),
            "<br>".join(_counted(name, counted.get(name)) for name in entry["attacks"]) or "tests alone",
        )
        for number, entry in enumerate(FACTS["guarantees"], start=1)
    ]
    words = f"Counted on {stored['date']} with fastitpn {stored['fastitpn']}, {stored['processor']}."
    return f"{table(('', 'promise', 'tests, in `tests/`', 'attacks that ended as promised'), rows)}\n\n{words}"


def _counted(name: str, row: dict[str, Any] | None) -> str:
    """How many attacks of a class ended as promised, of those that were made, of those that are planned."""
    if row is None or not row["attacks"]:
        return f"{name}: not counted yet"
    planned = f" (of {row['planned']:,} planned)" if row["attacks"] < row["planned"] else ""
    return f"{name}: {row['as_promised']:,} of {row['attacks']:,}{planned}"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _times(ratio: float) -> str:
    return f"{ratio:.2f}x"


def _signed(value: float) -> str:
    return f"{value:+.1f}" if round(value, 1) else "0.0"


def _acceleration(result: dict[str, Any]) -> str:
    names = [name for name in result["accelerations"] if name != "off"]
    cells = {(r["model"], r["px"], r["batch"], r["acceleration"]): r for r in result["rows"]}
    rows = []
    for model, px, batch in dict.fromkeys(key[:3] for key in cells):
        measured = [cells.get((model, px, batch, name)) for name in names]
        rows.append((f"`{model}`", f"{px},&nbsp;{batch}", *(_times(r["ratio"]) if r else "" for r in measured)))
    words = "Speed against the plain model, in turns within one run: images per second over the plain model's."
    return f"{words}\n\n{table(('model', 'px, batch', *names), rows)}"


def _acceleration_quality(result: dict[str, Any]) -> str:
    def change(row: dict[str, Any], kind: str) -> str:
        return mean_change({"mean": row[f"{kind}_change"], "spread": row[f"{kind}_spread"]})

    metric = {"classify": "top-1", "segment": "mean IoU"}
    rows = [
        (metric.get(row["task"], row["task"]), row["arm"], change(row, "trained"), change(row, "untrained"))
        for row in result["summary"]
        if row["arm"] != "off"
    ]
    words = "Points gained or lost against the plain model: mean and range of the seeds."
    return f"{words}\n\n{table(('metric', 'acceleration', 'trained with it', 'only switched on'), rows)}"


def _token_arena(result: dict[str, Any]) -> str:
    def change(row: dict[str, Any], kind: str) -> str:
        known = f"{kind}_change" in row
        return mean_change({"mean": row[f"{kind}_change"], "spread": row[f"{kind}_spread"]}) if known else ""

    rows = [
        (
            row["arm"],
            row["seeds"],
            _times(row["speed"]) if row["speed"] else "",
            change(row, "trained"),
            change(row, "untrained"),
        )
        for row in result["summary"]
        if not row["arm"].endswith("off")
    ]
    words = (
        "CamVid, criteria at equal speed: points of mean IoU against the plain network trained for the same steps, "
        "mean of the seeds and their range. `bipartite` is the preset `balanced`."
    )
    return f"{words}\n\n{table(('criterion', 'seeds', 'speed', 'trained with it', 'only switched on'), rows)}"


def _inference(result: dict[str, Any]) -> str:
    rows = [
        (
            f"`{row['model']}`",
            f"{row['px']},&nbsp;{row['batch']}",
            _times(row["fastitpn_ratio"]),
            _times(row["without_onednn_linear_ratio"]),
        )
        for row in result["rows"]
    ]
    words = "The plain model against a literal rendering of the published code, in turns within one run."
    return f"{words}\n\n{table(('model', 'px, batch', 'speed', 'without oneDNN matrix products'), rows)}"


def _runtimes(result: dict[str, Any]) -> str:
    rows = [
        (
            row["px"],
            arm,
            f"{figures['ms']:.0f} ms",
            f"{figures['over_reference']:.2f}x",
            f"{100 * figures['share_of_peak']:.0f} %" if "share_of_peak" in figures else "",
        )
        for row in result["rows"]
        for arm, figures in row["arms"].items()
        if arm != "reference"
    ]
    head = ("image size", "runtime", "time", "speed", "share of the core's best matrix product")
    words = "One image of `fastitpn_tiny`, against a literal rendering of the published code, in turns within one run."
    return f"{words}\n\n{table(head, rows)}"


def _pretraining(result: dict[str, Any]) -> str:
    rows = [
        (
            f"`{row['model']}`",
            _times(row["fastitpn_ratio"]),
            _times(row["checkpointed_ratio"]),
            _times(row["fastitpn_memory_ratio"]),
            _times(row["checkpointed_memory_ratio"]),
        )
        for row in result["rows"]
    ]
    head = ("model", "speed", "with `grad_checkpointing`", "peak memory", "with `grad_checkpointing`")
    return f"Training steps, compared with a literal rendering of the published code.\n\n{table(head, rows)}"


def _demo(result: dict[str, Any]) -> str:
    rows = [
        (
            name,
            f"{'+' if name.startswith('gain') else ''}{figure['mean']:.1f}",
            " to ".join(f"{value:.1f}" for value in figure["spread"]),
        )
        for name, figure in result["summary"].items()
    ]
    return f"Top-1 in per cent over {len(result['rows'])} seeds.\n\n{table(('arm', 'mean', 'range'), rows)}"


def _arms(result: dict[str, Any]) -> str:
    """Of trainings that are compared: what every arm reached, and what one has over another."""
    tables = []
    for part, first, cell in (("arms", "arm", mean), ("gains", "difference", mean_change)):
        by_arm = result["summary"][part]
        names = [name for name in dict.fromkeys(n for figures in by_arm.values() for n in figures) if name in POINTS]
        rows = [
            (title, *(cell(figures[name]) if name in figures else "" for name in names))
            for title, figures in by_arm.items()
        ]
        tables.append(table((first, *map(POINTS.__getitem__, names)), rows))
    return "\n\n".join(["In points: mean and range of the seeds.", *tables])


def _detection(result: dict[str, Any]) -> str:
    """The arms, on both sets of scenes."""
    words = {"known": "New scenes with the objects of the training", "unseen": "Objects that no training scene has"}
    parts = []
    for name, title in words.items():
        summary = {
            part: {arm: by_set[name] for arm, by_set in result["summary"][part].items()} for part in ("arms", "gains")
        }
        parts.append(f"**{title}.** {_arms({'summary': summary})}")
    return "\n\n".join(parts)


def _pretraining_quality(result: dict[str, Any]) -> str:
    """A table for each task and schedule: what every arm reached on the test scenes, and what it has over others."""
    tasks = {"segment": "Segmentation, mean IoU", "classify": "Classification, top-1"}
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in result["summary"]:
        groups.setdefault((row["task"], row["schedule"]), []).append(row)
    parts = ["Results on the test scenes: the mean of all runs; differences in points, with their range."]
    for (task, schedule), arms in groups.items():
        names = [name for name in OVER if any(name in row for row in arms)]
        rows = [
            (row["arm"], row["runs"], f"{row['test']:.1f}", *(mean_change(row[n]) if n in row else "" for n in names))
            for row in arms
        ]
        parts.append(
            f"**{tasks[task]}, {schedule.replace('-', ' ')}**\n\n{table(('arm', 'runs', 'test', *names), rows)}"
        )
    return "\n\n".join(parts)


def mean(figure: dict[str, Any]) -> str:
    """A mean and its range."""
    low, high = figure["spread"]
    return f"{figure['mean']:.1f} ({low:.1f} to {high:.1f})"


def mean_change(figure: dict[str, Any]) -> str:
    """A difference and its range, with signs."""
    low, high = figure["spread"]
    return f"{_signed(figure['mean'])} ({_signed(low)} to {_signed(high)})"


def _any_rows(result: dict[str, Any]) -> str:
    """Whatever plain figures the summary has, or else the rows."""
    figures = result.get("summary") or result.get("rows") or []
    if isinstance(figures, dict):
        figures = [
            {"": name, **(value if isinstance(value, dict) else {"value": value})} for name, value in figures.items()
        ]
    names = list(dict.fromkeys(name for row in figures for name in row))
    rows = [[_cell(row.get(name, "")) for name in names] for row in figures]
    return table([name.replace("_", " ") for name in names], rows)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, list):
        return " to ".join(map(_cell, value))
    if isinstance(value, dict) and "spread" in value:
        return f"{_cell(value['mean'])} ({_cell(value['spread'])})"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(inner)}" for name, inner in value.items())
    return str(value)


OVER = ("over scratch", "over scratch, long", "over joint", "over fresh pyramid")
"""What an arm of a pre-training is compared with."""

POINTS = {
    "miou": "mean IoU",
    "pixel_accuracy": "pixel accuracy",
    "box_ap": "box AP",
    "box_ap75": "box AP75",
    "mask_ap": "mask AP",
    "mask_ap75": "mask AP75",
}
"""Figures of trainings, and how they are called."""

SECTIONS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "demo": ("Pre-training against scratch, the demo", _demo),
    "pretraining_quality": ("What pre-training is worth, and which of its choices matter", _pretraining_quality),
    "photographs": ("What pre-training is worth on photographs", _any_rows),
    "segmentation": ("Pre-training against scratch, segmentation", _arms),
    "segmentation_maskdino": ("MaskDINO for segmentation", _arms),
    "segmentation_mask2former": ("Mask2Former for segmentation, at equal steps", _arms),
    "detection": ("Pre-training against scratch, detection", _detection),
    "acceleration": ("Speed of the acceleration", _acceleration),
    "acceleration_quality": ("What the acceleration costs", _acceleration_quality),
    "token_arena": ("Which tokens should leave", _token_arena),
    "inference": ("Speed of the plain model", _inference),
    "runtimes": ("Speed in the runtimes for CPUs", _runtimes),
    "pretraining": ("Speed and memory of pre-training", _pretraining),
    "trust": ("Attacks that ended as promised", _any_rows),
    "teachers": ("Speed of pre-training with two teachers, and accelerated", _any_rows),
    "checkerboard": ("Where the variance of the pyramid's levels lies", _any_rows),
    "pretraining_loss": ("Speed of the cosine loss against PyTorch's", _any_rows),
}
"""The order of the page, and how each result is shown; others come last, with `_any_rows`."""
