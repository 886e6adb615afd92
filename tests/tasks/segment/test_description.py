"""What a checkpoint says of a segmentation network: plain types, as earlier versions wrote them."""

import pytest

from fastitpn.data.segmentation.classes import SegmentationClasses
from fastitpn.tasks.segment.description import SegmenterDescription

CONTENT = {
    "model": {"name": "fastitpn_nano", "arguments": {"img_size": 64}},
    "normalisation": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]},
    "px": 64,
    "head": {"name": "upernet", "arguments": {"width": 8}, "features": "pyramid"},
    "classes": ["sky", "cat"],
    "colors": [[1, 2, 3], [4, 5, 6]],
    "masks": {"ignore_index": 254, "reduce_zero_label": True},
    "resize": False,
}


@pytest.mark.parametrize("things", [None, ["cat"]])
def test_it_is_read_and_written_as_it_is(things):
    content = {**CONTENT, "masks": CONTENT["masks"] | ({} if things is None else {"things": things})}
    about = SegmenterDescription.from_dict(content)
    assert about.to_dict() == content
    assert about.classes == SegmentationClasses(
        names=("sky", "cat"),
        colors=((1, 2, 3), (4, 5, 6)),
        ignore_index=254,
        reduce_zero_label=True,
        things=None if things is None else ("cat",),
    )
    assert about.class_names == ("sky", "cat")
    assert set(about.needed) == set(content)
