"""The right name that is nearest to a wrong one."""

import difflib
from collections.abc import Iterable

OTHER_TOOLS = {
    "batch_size": "batch",
    "checkpoint_path": "checkpoint",
    "ckpt": "checkpoint",
    "data_dir": "data",
    "data_path": "data",
    "image_size": "px",
    "img_size": "px",
    "imgsz": "px",
    "input_size": "px",
    "learning_rate": "lr",
    "mask_ratio": "mask.ratio",
    "num_epochs": "epochs",
    "num_steps": "steps",
    "num_workers": "workers",
    "output": "out",
    "output_dir": "out",
    "pretrained": "weights",
    "resolution": "px",
    "wd": "weight_decay",
}
"""What other tools call our keys."""
_CUTOFF = 0.75
"""Least share of equal letters; below it neighbours are other words, such as task and betas."""


def nearest_name(wrong: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant, or None. A dotted name is also found by its last part."""
    known = list(names)
    word = wrong.strip().lower().replace("-", "_")
    if OTHER_TOOLS.get(word) in known:
        return OTHER_TOOLS[word]
    forms = {name.rsplit(".", 1)[-1]: name for name in known} | {name.replace(".", "_"): name for name in known}
    forms |= {name: name for name in known}
    if len(word) > 2:
        for form, name in forms.items():
            if form.startswith(word):
                return name
    swapped = [form for form in forms if sorted(form) == sorted(word)]
    close = swapped or difflib.get_close_matches(word, forms, n=1, cutoff=_CUTOFF)
    return forms[close[0]] if close and word else None
