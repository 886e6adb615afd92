"""`fastitpn visualize features`: the feature maps of a set of images in colours that mean the same in all of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fastitpn.data.images.reading import reads_images
from fastitpn.reporting.feature_pictures import colour_panel, image_panel
from fastitpn.reporting.panels import Row
from fastitpn.reporting.pca import FeatureColours
from fastitpn.runs.output import check_no_run, make_folder
from fastitpn.training.processes.devices import build_fabric
from fastitpn.visualization.config import VisualizeFeaturesConfig
from fastitpn.visualization.drawings import Drawings, Shown, find_images, read_shown, write_drawings
from fastitpn.visualization.levels import choose_levels, level_maps
from fastitpn.visualization.subject import Subject, load_subject

KIND = "features"
FITTED_VECTORS = 2**16
"""Vectors, of all images together, that the colours of a map are found from."""
_EXPLANATION = """\
Red, green and blue are the three main components of the features of a map, computed over all images: within one
map, equal colours are equal features in all images. The maps have directions of their own, so colours of
different maps say nothing about each other.

The levels of the pyramid at strides 32 and 64 are every second and fourth place of the one at stride 16.
"""


@reads_images
def run_visualize_features(config: VisualizeFeaturesConfig) -> Drawings:
    """Draw the feature maps of each image, and write the pictures and a page that shows them to `out`.

    In a folder, files that cannot be read are skipped and named.

    Raises:
        InputError: The checkpoint, the weights, the images, the levels or `out` do not fit.
    """
    check_no_run(config.out, KIND)
    paths = find_images(config)
    device = build_fabric(config.device, precision="32-true").device
    subject = load_subject(config, pyramid=True)
    titles = choose_levels(subject.model, config.levels)
    subject.model.to(device)
    shown = read_shown(paths, config, subject)
    make_folder(config.out)
    colours = _fit(shown, subject, list(titles), device)
    rows = []
    for image in shown:  # once more through the model, since maps at stride 4 are too large to keep
        maps = level_maps(subject.model, image.pixels.to(device), list(titles))
        panels = [colour_panel(titles[name], colours[name](map_).numpy(), subject.grid) for name, map_ in maps.items()]
        rows.append(Row(image.name, [image_panel(image.picture, subject.grid), *panels]))
    return write_drawings(
        config,
        KIND,
        subject,
        shown,
        rows,
        device,
        columns=len(titles) + 1,
        title="Features in colours",
        summary=[("images", len(shown), "share their colours"), ("maps", len(titles), ", ".join(titles))],
        explanation=_EXPLANATION,
    )


def _fit(shown: Sequence[Shown], subject: Subject, names: list[str], device: torch.device) -> dict[str, FeatureColours]:
    """The colours of each map, from vectors spread evenly over all images."""
    most = max(1, FITTED_VECTORS // len(shown))
    vectors: dict[str, list[Tensor]] = {name: [] for name in names}
    for image in shown:
        for name, map_ in level_maps(subject.model, image.pixels.to(device), names).items():
            flat = map_.flatten(0, 1)
            vectors[name].append(flat[torch.linspace(0, len(flat) - 1, min(most, len(flat))).long()])
    return {name: FeatureColours.fit(torch.cat(parts)) for name, parts in vectors.items()}
