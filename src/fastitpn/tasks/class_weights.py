"""What classes weigh in the loss, where some have far fewer images or pixels than others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from fastitpn.data.yaml_words import read_yaml_words
from fastitpn.errors import InputError
from fastitpn.nearest import nearest_name
from fastitpn.tasks.keys import ClassWeights

IMBALANCED = 10
"""The largest class has more than so many times the images or pixels of the smallest: worth a line."""
_EXPECTED = "a line for each class with its name and a weight above 0, such as cat: 2.5"


def class_weights(wanted: ClassWeights, counts: Sequence[int], classes: Sequence[str]) -> Tensor | None:
    """Weight of each class in the loss, of a mean of 1 over the images or pixels.

    Args:
        wanted: "balanced", with which all classes weigh alike; a YAML or JSON file of class names and weights; or None.
        counts: Images or pixels of each class to train.
        classes: Names, in the order of their labels.

    Returns:
        float32 [classes]; None for no weights.

    Raises:
        InputError: The file is wrong.
    """
    if wanted is None:
        return None
    numbers = torch.tensor(counts).clamp(min=1)
    weights = 1 / numbers if wanted == "balanced" else torch.tensor(_read(Path(wanted), classes))
    return (weights * numbers.sum() / (weights * numbers).sum()).float()


def describe_imbalance(
    wanted: ClassWeights, counts: Sequence[int], classes: Sequence[str], unit: Literal["images", "pixels"] = "images"
) -> list[str]:
    """A line on classes of very different numbers of images or pixels, if they are.

    Args:
        wanted: What the key says.
        counts: Images or pixels of each class to train; of pixels, classes without any do not count.
        classes: Names, in the order of their labels.
        unit: What is counted.
    """
    places = [place for place, count in enumerate(counts) if count or unit == "images"]
    most, least = max(places, key=counts.__getitem__), min(places, key=counts.__getitem__)
    if counts[most] <= IMBALANCED * counts[least]:
        return []
    advice = "class_weights=balanced makes all classes weigh alike" if wanted is None else f"class_weights={wanted}"
    share = 100 / sum(counts)
    largest, smallest = (
        f"{counts[place]} images" if unit == "images" else f"{share * counts[place]:.2g} % of the pixels"
        for place in (most, least)
    )
    return [
        f"the classes are imbalanced: {classes[most]} has {largest} to train, "
        f"{classes[least]} has {smallest.removesuffix(' images').removesuffix(' of the pixels')}; {advice}"
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
