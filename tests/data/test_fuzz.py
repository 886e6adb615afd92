"""Damaged data never ends in a traceback: `pytest tests/data/test_fuzz.py --fuzz=5000` reads 5,000 data sets."""

from pathlib import Path

import pytest
from fuzzing import check_reading
from label_readers import FORMATS


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_data_raises_the_projects_own_error_or_none(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    wanted = request.config.getoption("--fuzz")
    rounds = 30 if wanted is None else -(-wanted // len(FORMATS))
    check_reading(FORMATS[name], tmp_path / "data", rounds, in_turn=wanted is None)
