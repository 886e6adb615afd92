import pytest
import torch

from fastitpn.models.layers.cells import cells_to_map, map_to_cells, patchify


def pixels(channels: int, height: int, width: int) -> torch.Tensor:
    """An image whose every number is different."""
    return torch.arange(float(channels * height * width)).view(1, channels, height, width)


@pytest.mark.parametrize(("channels", "height", "width"), [(3, 32, 48), (1, 16, 16), (6, 48, 16)])
def test_patchify_keeps_a_patch_together_and_its_cells_two_by_two(channels: int, height: int, width: int) -> None:
    image = pixels(channels, height, width)
    patches = patchify(image)
    assert patches.shape == (1, height // 16 * (width // 16), 16, channels * 16)
    for patch in range(patches.shape[1]):
        top, left = patch // (width // 16) * 16, patch % (width // 16) * 16
        for cell in range(16):  # binary y8 x8 y4 x4
            y = top + 8 * (cell >> 3 & 1) + 4 * (cell >> 1 & 1)
            x = left + 8 * (cell >> 2 & 1) + 4 * (cell & 1)
            assert torch.equal(patches[0, patch, cell], image[0, :, y : y + 4, x : x + 4].flatten())


@pytest.mark.parametrize("side", [1, 2, 4])
@pytest.mark.parametrize(("height", "width"), [(2, 3), (1, 1), (4, 1)])
def test_maps_and_cells_are_each_others_inverse(side: int, height: int, width: int) -> None:
    maps = pixels(5, height * side, width * side)
    cells = map_to_cells(maps, side * side)
    assert cells.shape == (1, height * width, side * side, 5)
    assert torch.equal(cells_to_map(cells, height, width), maps)
    assert torch.equal(cells_to_map(cells, height, width, channels_last=True), maps.permute(0, 2, 3, 1))


def test_pixels_become_the_map_of_a_convolution_of_kernel_and_stride_4() -> None:
    image, kernel = torch.randn(2, 3, 32, 48), torch.randn(7, 3, 4, 4)
    cells = patchify(image) @ kernel.flatten(1).T
    expected = torch.nn.functional.conv2d(image, kernel, stride=4)
    torch.testing.assert_close(cells_to_map(cells, 2, 3), expected, check_stride=False)


def test_four_cells_that_merge_are_neighbours_in_memory() -> None:
    fine, coarse = pixels(1, 8, 8), pixels(1, 4, 4)
    below = map_to_cells(fine, 16).unflatten(2, (4, 4))[..., 0]  # [1, N, coarse cell, fine cell]
    for patch, cell in torch.cartesian_prod(torch.arange(4), torch.arange(4)).tolist():
        place = map_to_cells(coarse, 4)[0, patch, cell, 0].long().item()
        y, x = 2 * (place // 4), 2 * (place % 4)
        assert torch.equal(below[0, patch, cell], fine[0, 0, y : y + 2, x : x + 2].flatten())
