"""`fastitpn visualize attention`: where a chosen token looks, in each head of chosen blocks."""

import numpy as np
import torch
from numpy.typing import NDArray

from fastitpn.data.images.reading import reads_images
from fastitpn.errors import InputError
from fastitpn.models.attention_trace import AttentionTrace
from fastitpn.reporting.feature_pictures import heat_panel, image_panel, plain_panel
from fastitpn.reporting.panels import Legend, Panel, Row, Scale
from fastitpn.runs.output import check_no_run, make_folder
from fastitpn.training.processes.devices import build_fabric
from fastitpn.visualization.config import VisualizeAttentionConfig
from fastitpn.visualization.drawings import Drawings, Shown, find_images, read_shown, write_drawings
from fastitpn.visualization.levels import choose_token
from fastitpn.visualization.subject import Subject, load_subject

KIND = "attention"
COLUMNS = 6
_HOTTEST = 0.99
"""Share of the values that is drawn colder than the hottest."""
_EXPLANATION = """\
The share of the attention of the marked token that each token of the image gets, as a multiple of the mean: the mark on
the scale is 1. Every image has its scale. The first picture of a block is the mean over its heads.

With acceleration, a token attends within its window in most blocks, and to gathering tokens, which are not drawn;
tokens that left the trunk get nothing. acceleration=off draws the plain model.
"""


@reads_images
def run_visualize_attention(config: VisualizeAttentionConfig) -> Drawings:
    """Draw the attention of a token in each image, and write the pictures and a page that shows them to `out`.

    In a folder, files that cannot be read are skipped and named.

    Raises:
        InputError: The checkpoint, the weights, the images, the token, the blocks or `out` do not fit.
    """
    check_no_run(config.out, KIND)
    paths = find_images(config)
    device = build_fabric(config.device, precision="32-true").device
    subject = load_subject(config, pyramid=False)
    token = choose_token(config.token, subject.grid)
    blocks = _choose_blocks(config.block, subject)
    subject.model.to(device)
    shown = read_shown(paths, config, subject)
    make_folder(config.out)
    rows = []
    for image in shown:
        place = token[0] * subject.grid[1] + token[1]
        trace = subject.model.trace_attention(image.pixels.to(device), place, blocks)
        panels = [image_panel(image.picture, subject.grid, token)]
        for block in blocks:
            panels += _block_panels(block, trace, image, token, each=config.heads == "each")
        rows.append(Row(image.name, panels))
    return write_drawings(
        config,
        KIND,
        subject,
        shown,
        rows,
        device,
        columns=COLUMNS,
        title="Where a token looks",
        summary=[
            ("images", len(shown), ""),
            ("token", f"{token[0]},{token[1]}", "row,column"),
            ("blocks", ", ".join(map(str, blocks)), f"of {subject.model.num_attention_blocks}"),
        ],
        explanation=_EXPLANATION,
    )


def _choose_blocks(asked: tuple[int, ...] | None, subject: Subject) -> tuple[int, ...]:
    depth = subject.model.num_attention_blocks
    blocks = asked or (depth,)
    if max(blocks) > depth:
        raise InputError(
            f"there is no block {max(blocks)}", where="block", expected=f"1 to {depth}", fix=f"block={depth}"
        )
    return blocks


def _block_panels(
    block: int, trace: AttentionTrace, shown: Shown, token: tuple[int, int], *, each: bool
) -> list[Panel]:
    if block not in trace.shares:
        left = [Legend(f"the token left after block {trace.left_after}")]
        return [plain_panel(f"block {block}", shown.picture, trace.grid, left)]
    shares = trace.shares[block].cpu()
    maps = {f"block {block}, mean of {len(shares)} heads": shares.mean(0)}
    if each:
        maps |= {f"block {block}, head {number}": head for number, head in enumerate(shares, start=1)}
    panels = []
    for title, head in maps.items():
        relative, top = _relative(head, trace.grid)
        scale = Scale("0", f"{top:.1f} x mean", mark=1 / top if top > 1 else None)
        rest = 1 - float(head.sum())
        legend = [Legend(f"{rest:.0%} to other tokens than these")] if rest > 5e-3 else []
        panels.append(
            heat_panel(title, relative / top, shown.picture, trace.grid, token=token, scale=scale, legend=legend)
        )
    return panels


def _relative(shares: torch.Tensor, grid: tuple[int, int]) -> tuple[NDArray[np.float32], float]:
    """Shares [N] as multiples of their mean, [rows, columns], and the hottest of them."""
    relative: NDArray[np.float32] = (shares / shares.mean().clamp(min=1e-12)).numpy().reshape(grid)
    return relative, max(float(np.quantile(relative, _HOTTEST)), 1e-6)
