import torch

from fastitpn.reporting.pca import FeatureColours, pca_rgb


def test_shape_and_type() -> None:
    colours = pca_rgb(torch.randn(2, 5, 4, 32))
    assert colours.shape == (2, 5, 4, 3)
    assert colours.dtype == torch.uint8


def test_equal_vectors_have_equal_colours_across_images() -> None:
    features = torch.randn(2, 4, 4, 16)
    features[1, 3, 2] = features[0, 0, 1]
    colours = pca_rgb(features)
    assert torch.equal(colours[1, 3, 2], colours[0, 0, 1])


def test_the_strongest_direction_becomes_red() -> None:
    features = torch.randn(1, 8, 8, 6) * 0.01
    features[0, :, :, 4] = torch.linspace(-1, 1, 8)
    red = pca_rgb(features)[0, :, :, 0].float().mean(0)
    assert (red.diff() > 0).all()
    assert red[0] < 40
    assert red[-1] > 215


def test_axes_are_found_whatever_the_rotation() -> None:
    features = torch.randn(1, 12, 12, 8, dtype=torch.float64) * torch.tensor([8.0, 4, 2, 1, 0.1, 0.1, 0.1, 0.1])
    rotation = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64)).Q
    plain, turned = pca_rgb(features).int(), pca_rgb(features @ rotation).int()
    same = torch.minimum((plain - turned).abs(), (255 - plain - turned).abs())  # a direction may point the other way
    assert same.max() <= 1


def test_one_odd_token_does_not_grey_out_the_others() -> None:
    features = torch.randn(1, 20, 20, 3)
    features[0, 0, 0] = 1e4
    colours = pca_rgb(features)[0].float()
    assert colours.flatten(0, 1).std(0).min() > 40  # in each of the three colours


def test_flat_narrow_and_broken_features_are_drawn() -> None:
    assert (pca_rgb(torch.full((1, 3, 3, 8), 7.3)).int() - 128).abs().max() <= 1
    narrow = pca_rgb(torch.randn(1, 4, 4, 2))
    assert (narrow[..., 2] == narrow[0, 0, 0, 2]).all()
    broken = torch.randn(1, 4, 4, 8)
    broken[0, 1, 1] = torch.nan
    assert pca_rgb(broken).float().std() > 0


def test_a_fitted_mapping_serves_other_maps() -> None:
    features = torch.randn(3, 4, 4, 8)
    colours = FeatureColours.fit(features)
    assert torch.equal(colours(features[1]), pca_rgb(features)[1])


def test_half_precision_is_accepted() -> None:
    assert pca_rgb(torch.randn(1, 4, 4, 8).to(torch.bfloat16).requires_grad_()).shape == (1, 4, 4, 3)
