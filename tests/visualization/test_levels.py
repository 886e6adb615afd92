"""Feature maps by name, and places in them."""

import pytest
import torch

import fastitpn
from fastitpn.errors import InputError
from fastitpn.visualization.levels import cell_of, choose_token, level_maps


@pytest.mark.parametrize(
    ("shape", "cell"), [((24, 24), (10, 22)), ((12, 12), (5, 11)), ((6, 6), (2, 5)), ((3, 3), (1, 2)), ((2, 2), (0, 1))]
)
def test_the_cell_in_the_middle_of_a_token(shape, cell):
    assert cell_of((2, 5), (6, 6), shape) == cell


def test_a_token_outside_of_the_map():
    assert choose_token(None, (7, 7)) == (3, 3)
    assert choose_token((6, 0), (7, 7)) == (6, 0)
    with pytest.raises(InputError, match="there is no token 7,0 in a map of 7 x 7") as caught:
        choose_token((7, 0), (7, 7))
    assert caught.value.fix == "token=6,0, or a larger px"


def test_the_maps_are_those_of_the_model():
    torch.manual_seed(0)
    model = fastitpn.create_model("fastitpn_nano", img_size=64, pyramid=True).eval()
    pixels = torch.rand(1, 3, 64, 64)
    maps = level_maps(model, pixels, ["4", "64", "trunk"])
    with torch.no_grad():
        pyramid = model.pyramid_features(pixels)
        torch.testing.assert_close(maps["4"], pyramid[0][0].permute(1, 2, 0))
        torch.testing.assert_close(maps["64"], pyramid[4][0].permute(1, 2, 0))
        torch.testing.assert_close(maps["trunk"], model.forward_features(pixels)[0])


def test_a_class_token_is_no_place():
    model = fastitpn.create_model("fastitpn_nano", img_size=64, class_token=True).eval()
    maps = level_maps(model, torch.rand(1, 3, 64, 64), ["8", "trunk"])
    assert {name: tuple(map_.shape[:2]) for name, map_ in maps.items()} == {"8": (8, 8), "trunk": (4, 4)}
