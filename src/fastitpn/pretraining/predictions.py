"""What a student predicts: each prediction has a name, and so many cells a patch."""

CELLS = {"merged": 1, "trunk": 1, "auxiliary": 1, "stride16": 1, "stride8": 4, "stride4": 16, "pixels": 1}
"""Cells of each 16x16 patch, in cell order: a prediction is [B, N, cells, D]."""
SUMMARY = "summary"
"""The prediction of a teacher's pooled output, one vector for an image: [B, 1, 1, D]."""
LEVELS = ("stride4", "stride8", "stride16")
"""The predictions of the `per_level` objective, finest first."""


def of_teacher(number: int, name: str) -> str:
    """The name of a prediction for one of several teachers, which are counted from 1."""
    return f"teacher{number}_{name}"
