import pytest

from fastitpn.training.published_rate import PublishedRate, rate_for

RATES = {"": PublishedRate(lr=1e-4, images=1024), "large": PublishedRate(lr=5e-5, images=256)}


@pytest.mark.parametrize(
    ("model", "images", "lr"),
    [
        ("fastitpn_base", 1024, 1e-4),
        ("fastitpn_base", 64, 6.25e-6),
        ("fastitpn_nano", 4096, 4e-4),
        ("fastitpn_large", 256, 5e-5),
        ("itpn_large", 512, 1e-4),
    ],
)
def test_rates_are_in_proportion_to_the_images_of_a_step(model, images, lr):
    assert rate_for(model, RATES).at(images) == lr
