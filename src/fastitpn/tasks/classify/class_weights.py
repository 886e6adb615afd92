"""What classes weigh in the loss, where some have far fewer images than others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from fastitpn.data.yaml_words import read_yaml_words
from fastitpn.errors import InputError
from fastitpn.nearest import nearest_name

ClassWeights = Literal["balanced"] | Path | None
IMBALANCED = 10
"""The largest class has more than so many times the images of the smallest: worth a line."""
_EXPECTED = "a line for each class with its name and a weight above 0, such as cat: 2.5"


def class_weights(wanted: ClassWeights, labels: Sequence[int], classes: Sequence[str]) -> Tensor | None:
    """Weight of each class in the loss, of a mean of 1 over the images.

    Args:
        wanted: "balanced", with which all classes weigh alike; a YAML or JSON file of class names and weights; or None.
        labels: Class of each training image.
        classes: Names, in the order of their labels.

    Returns:
        float32 [classes]; None for no weights.

    Raises:
        InputError: The file is wrong.
    """
    if wanted is None:
        return None
    counts = torch.bincount(torch.tensor(labels), minlength=len(classes)).clamp(min=1)
    weights = 1 / counts if wanted == "balanced" else torch.tensor(_read(Path(wanted), classes))
    return (weights * counts.sum() / (weights * counts).sum()).float()


def describe_imbalance(wanted: ClassWeights, labels: Sequence[int], classes: Sequence[str]) -> list[str]:
    """A line on classes of very different numbers of images, if they are."""
    counts = torch.bincount(torch.tensor(labels), minlength=len(classes))
    most, least = int(counts.argmax()), int(counts.argmin())
    if counts[most] <= IMBALANCED * counts[least]:
        return []
    advice = "class_weights=balanced makes all classes weigh alike" if wanted is None else f"class_weights={wanted}"
    return [
        f"the classes are imbalanced: {classes[most]} has {int(counts[most])} images to train, "
        f"{classes[least]} has {int(counts[least])}; {advice}"
    ]


def _read(file: Path, classes: Sequence[str]) -> list[float]:
    if not file.is_file():
        near = nearest_name(str(file), ("balanced", "none"))
        fix = f"class_weights={near}" if near else "class_weights=balanced, or the path of a file"
        raise InputError("there is no such file", where=f"class_weights={file}", fix=fix)
    content = read_yaml_words(file, expected=_EXPECTED)
    if not isinstance(content, Mapping):
        raise _wrong(file, "these are no class names with weights")
    if set(content) != set(classes):
        more, fewer = sorted(set(content) - set(classes)), sorted(set(classes) - set(content))
        parts = [
            f"{words}: {', '.join(names[:20])}" for words, names in (("unknown", more), ("missing", fewer)) if names
        ]
        raise _wrong(file, f"the classes are others; {'; '.join(parts)}")
    return [_weight(file, name, content[name]) for name in classes]


def _weight(file: Path, name: str, word: object) -> float:
    try:
        weight = float(str(word))
    except ValueError:
        weight = -1.0
    if not 0 < weight < float("inf"):
        raise _wrong(file, f"{name} has the weight {word!r}")
    return weight


def _wrong(file: Path, what: str) -> InputError:
    return InputError(what, where=file, expected=_EXPECTED, fix="class_weights=balanced computes them")
