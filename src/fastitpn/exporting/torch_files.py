"""PyTorch's own two forms: programs of `torch.export`, and TorchScript."""

import io
import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from fastitpn.errors import InputError
from fastitpn.exporting.network import Graph
from fastitpn.exporting.runner import Runner
from fastitpn.exporting.shapes import Shapes
from fastitpn.exporting.tracing import trace

_SAFE_LOAD = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def write_torch_export(graph: Graph, shapes: Shapes, path: Path) -> None:
    """A program that `torch.export.load` reads; without the paths of source files."""
    program = trace(graph, shapes)
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
    buffer = io.BytesIO()  # PyTorch's writer ends the process where it cannot write
    torch.export.save(program, buffer)
    path.write_bytes(buffer.getbuffer())


def open_torch_export(path: Path) -> Runner:
    """The program, run eagerly.

    Raises:
        InputError: It has compiled libraries, which an export does not write.
    """
    with zipfile.ZipFile(path) as archive:
        compiled = [name for name in archive.namelist() if "/aotinductor/" in name or name.endswith((".so", ".dll"))]
    if compiled:
        raise InputError(
            f"the file has compiled libraries, such as {compiled[0]}",
            where=path,
            expected="a program of fastitpn export format=torch_export",
            fix="export it again",
        )
    with _tensors_alone():
        module = torch.export.load(path).module()
    return lambda images: list(module(images))


@contextmanager
def _tensors_alone() -> Iterator[None]:
    """Lets `torch.load` build tensors and nothing else, also where `torch.export` asks it to run what a file says."""
    before = os.environ.get(_SAFE_LOAD)
    os.environ[_SAFE_LOAD] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SAFE_LOAD]
        else:
            os.environ[_SAFE_LOAD] = before


def write_torchscript(graph: Graph, shapes: Shapes, path: Path) -> None:
    """A trace that `torch.jit.load` reads, in Python and C++; without the paths of source files."""
    with _deprecated_but_there():
        script = torch.jit.trace(graph, (torch.zeros(shapes.traced),), check_trace=False)  # compared more closely later
        whole = io.BytesIO()  # as for torch.export
        torch.jit.save(script, whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                new.writestr(zipfile.ZipInfo(entry.filename), old.read(entry))


def open_torchscript(path: Path) -> Runner:
    """The script, on the CPU."""
    with _deprecated_but_there():
        script = torch.jit.load(path, map_location="cpu")
    return lambda images: list(script(images))


@contextmanager
def _deprecated_but_there() -> Iterator[None]:
    """PyTorch advises against TorchScript since 2.10; it is what was asked for.

    A trace also warns of every size that it takes as a number: whether one should have been a variable shows when the
    file is run at other sizes.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*torch\.jit\..* is (deprecated|not supported)", DeprecationWarning)
        warnings.filterwarnings("ignore", r".*torch\.jit\..* is (deprecated|not supported)", FutureWarning)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        # a trace looks at every attribute of a module, also at those of transformers that nobody should use
        warnings.filterwarnings("ignore", r".*is_gradient_checkpointing. is deprecated", FutureWarning)
        yield
