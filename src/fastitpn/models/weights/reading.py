"""Reading files of weights from disk without running any code in them."""

import argparse
import contextlib
import io
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from fastitpn.errors import InputError

_HARMLESS = re.compile(
    r"torch\.(_utils\._rebuild_\w+|storage\.\w+|\w+Storage|nn\.parameter\.Parameter|Size|device|b?float\d+|u?int\d+)"
    r"|collections\.OrderedDict|argparse\.Namespace"
)
_GLOBAL = re.compile(r"[\w.]+ [\w.]+")
"""How a pickle names a function or class: module and name."""


def read_content(path: Path) -> Mapping[str, Any]:
    """What a file of weights of any model holds; no code in it is run.

    Raises:
        InputError: It is not readable, damaged, or refused because it wants to run code.
    """
    expected = "a PyTorch file (.pt, .pth, .bin, .ckpt) or .safetensors"
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # published training files carry their command line, a plain namespace
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PyTorch, on what a strange pickle may contain
            content = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise InputError("you may not read this file", where=path, fix=f"chmod u+r {path}") from None
    except Exception as error:  # bytes that are no file of weights can make the readers fail in any way
        calls = _foreign_calls(path) if isinstance(error, pickle.UnpicklingError) else []
        if calls:
            raise InputError(
                f"refused to load: the file wants to call {', '.join(calls)}, and weights need no code",
                where=path,
                expected="tensors and plain values only",
                fix="get the weights as .safetensors, or from a source you trust",
            ) from None
        reason = str(error).split(". ")[0].splitlines()[0] if str(error).strip() else "it ends too early"
        raise InputError(
            f"the file is damaged or no PyTorch file ({reason})",
            where=path,
            expected=expected,
            fix="get the file again",
        ) from None
    if not isinstance(content, Mapping):
        raise InputError(f"the file holds a {type(content).__name__}, not a state dict", where=path, expected=expected)
    return content


def _foreign_calls(path: Path) -> list[str]:
    """Functions and classes that a pickle names beyond those that hold tensors; it is listed, never run."""
    strings: list[str] = []
    names: list[str] = []
    with contextlib.suppress(Exception):  # what could be read before the damage counts
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                stream = io.BytesIO(next(archive.read(n) for n in archive.namelist() if n.endswith("data.pkl")))
        else:
            stream = io.BytesIO(path.read_bytes())
        while True:  # files of old PyTorch are several pickles; the end is an exception
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name in ("GLOBAL", "INST"):
                    if _GLOBAL.fullmatch(str(argument)):  # else it is text that begins like a pickle
                        names.append(str(argument).replace(" ", "."))
                elif opcode.name == "STACK_GLOBAL":
                    names.append(".".join(strings[-2:]))
                elif isinstance(argument, str):
                    strings.append(argument)
    return [repr(name) for name in dict.fromkeys(names) if not _HARMLESS.fullmatch(name)]
