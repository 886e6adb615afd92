"""Everything that writes: what it is called with, and what a user finds in the folder afterwards."""

from collections.abc import Callable
from pathlib import Path

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree", "shutil.copyfile")
"""Audit events of what changes a disk."""


def changes_disk(event: str, arguments: tuple[object, ...]) -> bool:
    """Whether an audit event comes before a change of a disk."""
    return event in EVENTS and (event != "open" or bool({"w", "a", "x"} & set(str(arguments[1]))))


def write_checkpoint(folder: Path, value: int) -> None:
    """The checkpoint of a run, with the one before it kept."""
    import torch

    from fastitpn.runs.checkpoint import save_checkpoint

    save_checkpoint(folder / "last.ckpt", {"weights": torch.full((999,), value)}, previous=folder / "previous.ckpt")


def write_features(folder: Path, value: int) -> None:
    """A file of stored features."""
    import torch

    from fastitpn.data.feature_shards import write_shard

    write_shard(folder, 0, torch.full((4, 4, 8), float(value)))


def write_page(folder: Path, value: int) -> None:
    """A report."""
    from fastitpn.reporting.report import write_report
    from fastitpn.reporting.sections import Text

    write_report(folder / "report.html", title="a", sections=[Text("b", str(value) * 9999)])


def write_line(folder: Path, value: int) -> None:
    """A row of the log of figures."""
    from fastitpn.runs.metrics_log import append_row

    append_row(folder / "metrics.jsonl", {"step": value, "split": "train", "loss": 0.5})


def write_predictions(folder: Path, value: int) -> None:
    """A picture with what was predicted."""
    from PIL import Image

    from fastitpn.inference.written_pictures import save_picture

    save_picture(Image.new("RGB", (64, 64), (value, 0, 0)), folder / "drawings" / "a.png")


def write_table(folder: Path, value: int) -> None:
    """A table of predictions."""
    from fastitpn.files import write_text

    write_text(folder / "predictions.csv", str(value) * 9999)


def write_export(folder: Path, value: int) -> None:
    """An export, in the place of an earlier one."""
    from fastitpn.exporting.folder import DESCRIPTION, export_folder
    from fastitpn.files import write_text

    with export_folder(folder / "export") as new:
        write_text(new / DESCRIPTION, str(value))
        write_text(new / "model.onnx", str(value) * 9999)


def write_hub(folder: Path, value: int) -> None:
    """A model as a folder for timm, in the place of an earlier one."""
    import torch

    from fastitpn.exporting.folder import export_folder
    from fastitpn.files import write_text
    from fastitpn.runs.hub_folder import write_hub_folder

    with export_folder(folder / "hub") as new:
        write_hub_folder(new, {"weights": {"a": torch.full((999,), value)}}, ["a"])
        write_text(new / "config.json", "{}")


def write_shards(folder: Path, value: int) -> None:
    """Images in a tar file; one that is there already stays."""
    from PIL import Image

    from fastitpn.data.images.tar_writer import write_shards

    source = folder / ".images"
    source.mkdir(exist_ok=True)
    Image.new("RGB", (32, 32)).save(source / "a.png")
    write_shards([source / "a.png"], ["a.png"], folder, shard_mib=1, said=lambda line: None)


def write_copy(folder: Path, value: int) -> None:
    """A file that is a copy of another one."""
    from fastitpn.files import copy_file

    (folder / ".source").write_text(str(value) * 9999)
    copy_file(folder / ".source", folder / "copy")


WRITERS: tuple[Callable[[Path, int], None], ...] = (
    *(write_checkpoint, write_features, write_page, write_line, write_predictions),
    *(write_table, write_export, write_hub, write_shards, write_copy),
)


def contents(folder: Path) -> dict[str, bytes]:
    """What a user sees in a folder: no hidden files; sums are written after what they are of."""
    files = (path for path in folder.rglob("*") if path.is_file())
    names = {str(path.relative_to(folder)): path for path in files}
    return {
        name: path.read_bytes()
        for name, path in names.items()
        if not any(part.startswith(".") for part in Path(name).parts) and name != "sums.json"
    }


def torn(between: dict[str, bytes], old: dict[str, bytes], new: dict[str, bytes]) -> str | None:
    """Which file is neither the old nor the new one, or is gone; None if all are whole."""
    for name, content in between.items():
        rows = name == "metrics.jsonl" and content.endswith(b"\n") and new[name].startswith(content)
        if not rows and content not in (old.get(name), new.get(name), old.get("last.ckpt")):
            return f"{name} is neither the old nor the new one"
    absent = [name for name in old if name not in between and name != "last.ckpt"]  # which is previous.ckpt then
    return f"{absent} are gone" if absent else None
