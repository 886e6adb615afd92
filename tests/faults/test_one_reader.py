"""Each kind of file that others made is opened in one place, where its limits are checked; for YAML see `test_yaml`."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "fastitpn"
EXAMPLES = SOURCE / "exporting" / "examples"
"""Scripts for people who have no fastitpn."""
PLACES = {
    "folders": (("iterdir", "rglob", "glob", "iglob", "scandir", "listdir", "os.walk"), {"listing.py"}),
    "files of PyTorch": (("torch.load",), {"runs/checkpoint.py", "models/weights/reading.py"}),
    "programs": (("torch.jit.load", "torch.export.load"), {"exporting/torch_files.py"}),
    "safetensors": (("load_file", "safe_open"), {"runs/hub_folder.py", "models/weights/reading.py"}),
    "zip archives": (
        ("zipfile.ZipFile",),
        {
            "exporting/torch_files.py",
            "models/weights/archives.py",
            "models/weights/reading.py",
            "runs/checkpoint.py",
            "runs/written_checksums.py",
        },
    ),
    "tar archives": (
        ("tarfile.open",),
        {
            "data/images/tar_members.py",
            "data/images/tar_writer.py",
            "models/weights/archives.py",
            "models/weights/reading.py",
        },
    ),
    "arrays": (("np.load", "numpy.load", "np.fromfile", "np.memmap"), {"data/feature_shards.py"}),
    "JSON": (
        ("json.loads", "json.load"),
        {
            *("json_text.py", "data/json_files.py"),
            *("benchmarking/memory.py", "benchmarking/memory_server.py", "training/processes/failure_propagation.py"),
            *("tuning/measured.py", "data/scenes/sources.py"),  # what this package or another one wrote itself
        },
    ),
    "pickles": (("pickle.load", "pickle.loads", "pickle.Unpickler"), set()),
}


def called(file: Path) -> set[str]:
    """Names of what a file calls, with what stands before the last dot and without."""
    names = {ast.unparse(node.func) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)}
    return names | {name.rpartition(".")[2] for name in names}


@pytest.mark.parametrize("kind", PLACES)
def test_it_is_opened_nowhere_else(kind):
    functions, places = PLACES[kind]
    files = [file for file in SOURCE.rglob("*.py") if EXAMPLES not in file.parents]
    opening = {file.relative_to(SOURCE).as_posix() for file in files if called(file).intersection(functions)}
    assert opening == places
