"""`fastitpn visualize similarity`: how like a chosen token all others are, in each feature map."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fastitpn.data.images.reading import reads_images
from fastitpn.reporting.feature_pictures import heat_panel, image_panel
from fastitpn.reporting.panels import Row, Scale
from fastitpn.runs.output import check_no_run, make_folder
from fastitpn.training.processes.devices import build_fabric
from fastitpn.visualization.config import VisualizeSimilarityConfig
from fastitpn.visualization.drawings import Drawings, find_images, read_shown, write_drawings
from fastitpn.visualization.levels import cell_of, choose_levels, choose_token, level_maps
from fastitpn.visualization.subject import load_subject

KIND = "similarity"
_COLDEST = 0.02
"""Share of the values that is drawn as the coldest."""
_EXPLANATION = """\
The cosine of the features at the marked token to those at every other place, in each feature map: 1 is the same
direction. The heat of a map runs from the second percentile of its cosines in all images to 1, as written below it.
In maps finer than the tokens, the place in the middle of the token counts.
"""


@reads_images
def run_visualize_similarity(config: VisualizeSimilarityConfig) -> Drawings:
    """Draw the similarity to a token in each image, and write the pictures and a page that shows them to `out`.

    In a folder, files that cannot be read are skipped and named.

    Raises:
        InputError: The checkpoint, the weights, the images, the levels, the token or `out` do not fit.
    """
    check_no_run(config.out, KIND)
    paths = find_images(config)
    device = build_fabric(config.device, precision="32-true").device
    subject = load_subject(config, pyramid=True)
    titles = choose_levels(subject.model, config.levels)
    token = choose_token(config.token, subject.grid)
    subject.model.to(device)
    shown = read_shown(paths, config, subject)
    make_folder(config.out)
    cosines = []
    for image in shown:
        maps = level_maps(subject.model, image.pixels.to(device), list(titles))
        cosines.append({name: similarity(map_, token, subject.grid) for name, map_ in maps.items()})
    low = {name: _coldest([of_image[name] for of_image in cosines]) for name in titles}
    rows = []
    for image, of_image in zip(shown, cosines, strict=True):
        panels = [image_panel(image.picture, subject.grid, token)]
        for name, title in titles.items():
            values = (of_image[name] - low[name]) / max(1 - low[name], 1e-6)
            scale = Scale(f"{low[name]:.2f}", "1")
            panels.append(heat_panel(title, values, image.picture, subject.grid, token=token, scale=scale))
        rows.append(Row(image.name, panels))
    return write_drawings(
        config,
        KIND,
        subject,
        shown,
        rows,
        device,
        columns=len(titles) + 1,
        title="Similarity to a token",
        summary=[("images", len(shown), ""), ("token", f"{token[0]},{token[1]}", "row,column")],
        explanation=_EXPLANATION,
    )


def similarity(map_: Tensor, token: tuple[int, int], grid: tuple[int, int]) -> NDArray[np.float32]:
    """Cosines of every place of a map to that of a token.

    Args:
        map_: Feature map [h, w, C].
        token: Row and column among the tokens.
        grid: Tokens per column and per row.

    Returns:
        [h, w].
    """
    unit = F.normalize(map_.to(torch.float32), dim=-1)
    cosines: NDArray[np.float32] = (unit @ unit[cell_of(token, grid, tuple(map_.shape[:2]))]).numpy()  # type: ignore[arg-type]
    return cosines


def _coldest(cosines: list[NDArray[np.float32]]) -> float:
    return float(np.quantile(np.concatenate([values.ravel() for values in cosines]), _COLDEST))
