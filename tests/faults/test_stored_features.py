"""Stored features whose component file is damaged, is another's, or holds code."""

import pytest
import torch

from fastitpn.data.feature_shards import FeatureIndex
from fastitpn.errors import InputError
from fastitpn.pretraining.teachers.components import Components
from fastitpn.tasks.pretrain import cache_features

CALLED = []


class Code:
    def __reduce__(self):
        return CALLED.append, ("run",)


@pytest.fixture
def index():
    return FeatureIndex(
        **{field: None for field in FeatureIndex.__dataclass_fields__} | {"dim": 4, "components_of": 16}
    )


def test_components_that_are_right(tmp_path, index):
    components = Components.of(torch.randn(100, 16), 4)
    torch.save(components.state_dict(), tmp_path / cache_features.COMPONENTS)
    read = cache_features._components(tmp_path, index, lambda numbers: [])
    assert torch.equal(read.directions, components.directions)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (Code(), "refused to load: the file wants to call 'list.append'|refused to load"),
        ({"mean": Code()}, "no components of features"),
        ({"weight": torch.zeros(3)}, "no components of features, but weight"),
        (Components.of(torch.randn(100, 8), 4).state_dict(), r"another kind, \[8, 4\]"),
        ([1, 2], "not a state dict"),
    ],
    ids=["code", "code inside", "weights", "another width", "a list"],
)
def test_components_that_are_wrong(tmp_path, index, content, said):
    torch.save(content, tmp_path / cache_features.COMPONENTS)
    with pytest.raises(InputError, match=said):
        cache_features._components(tmp_path, index, lambda numbers: [])
    assert CALLED == []


@pytest.mark.parametrize("content", [b"", b"no", b"PK\x03\x04" + bytes(100)], ids=["empty", "text", "cut"])
def test_components_that_are_damaged(tmp_path, index, content):
    (tmp_path / cache_features.COMPONENTS).write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        cache_features._components(tmp_path, index, lambda numbers: [])
