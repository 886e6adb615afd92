"""A graph is never compared at the size that it was traced with, where that may change."""

import pytest

from fastitpn.exporting.shapes import Shapes


@pytest.mark.parametrize("size", [(32, 32), (80, 80), (224, 224), (512, 1024), (64, 80)])
def test_traced_and_compared_sizes_have_no_side_in_common(size):
    shapes = Shapes(size=size, dynamic="all")
    _, _, height, width = shapes.traced
    assert height != width
    for compared in shapes.sizes:
        assert height != compared[0]
        assert width != compared[1]
    assert shapes.traced[0] not in shapes.batches
    assert shapes.sizes[0] == size
    assert all(side % 16 == 0 for sides in (*shapes.sizes, (height, width)) for side in sides)
    assert shapes.describe() == ["batch", 3, "height", "width"]


def test_nothing_changes_where_nothing_may():
    shapes = Shapes(size=(64, 96), dynamic="off", batch=4)
    assert (shapes.traced, shapes.batches, shapes.dims) == ((4, 3, 64, 96), (4,), None)
    assert shapes.describe() == [4, 3, 64, 96]
