"""The encoder of SUTrack: template and search image in one sequence, six channels, token types.

    python examples/tracker_encoder.py [model=fastitpn_tiny] [weights=FILE] [out=tracker.png]

`TrackerEncoder` is all that a tracker takes from here, and computes what SUTrack's encoder does; a head learns where
the object is. Below is a trial without any learning: objects in the left photograph of a stereo camera (shipped with
scikit-image) are looked for in the right one.
"""

import sys

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from skimage.data import stereo_motorcycle
from torch import Tensor, nn

import fastitpn

OBJECTS = {"head lamp": (537, 156, 58), "tank": (420, 205, 80)}
"""In the left photograph: x and y of the middle, and side, in pixels."""


class TrackerEncoder(nn.Module):
    """Template (the object) and search image (where to look for it) to tokens.

    Each image has colours and three channels of depth, heat or events.

    Args:
        model: Name of the backbone.
        weights: Published or own; those for three channels are spread over six.
        changes: Arguments of `create_model`. `position_resize="align_corners"` is SUTrack's `interpolate`.
    """

    def __init__(self, model: str = "fastitpn_tiny", weights: str | None = None, **changes):
        super().__init__()
        crop = {"position_resize": "crop"}  # the template's positions are the first of the table, as SUTrack's `index`
        self.backbone = fastitpn.create_model(model, in_chans=6, num_classes=0, **{**crop, **changes})
        if weights is not None:
            print(fastitpn.load_weights(self.backbone, weights))
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, self.backbone.embed_dim))
        self.types = nn.Parameter(0.02 * torch.randn(3, self.backbone.embed_dim))

    def forward(self, template: Tensor, inside: Tensor, search: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens that have attended to each other; sides are multiples of 16.

        Args:
            template: [B, 6, h, w].
            inside: [B, 1, h, w], 1 on the object and 0 beside it.
            search: [B, 6, H, W].

        Returns:
            [B, h/16 * w/16, D] and [B, H/16 * W/16, D].
        """
        on_object, around_it, in_search = self.types
        types = torch.lerp(around_it, on_object, patch_shares(inside))
        asked = self.backbone.embed_tokens(template) + types
        searched = self.backbone.embed_tokens(search) + in_search
        first = self.class_token.expand(len(searched), -1, -1)
        tokens = self.backbone.attend_tokens(torch.cat((first, searched, asked), dim=1))
        _, searched, asked = self.backbone.normalize_tokens(tokens).split((1, searched.shape[1], asked.shape[1]), dim=1)
        return asked, searched


def patch_shares(inside: Tensor) -> Tensor:
    """The share of each patch that is the object, [B, h/16 * w/16, 1]."""
    return F.avg_pool2d(inside, 16).flatten(2).mT


@torch.no_grad()
def score_map(encoder: TrackerEncoder, template: Tensor, inside: Tensor, search: Tensor) -> Tensor:
    """How like the object each place of one search image is, [H/16, W/16]: its tokens slid over the search tokens."""
    (h, w), (H, W) = ([side // 16 for side in image.shape[-2:]] for image in (template, search))
    tokens = encoder(template, inside, search)
    asked, searched = (F.normalize(part - part.mean(1, keepdim=True), dim=-1) for part in tokens)
    kernel = (asked * patch_shares(inside)).mT.unflatten(2, (h, w))
    return F.conv2d(searched.mT.unflatten(2, (H, W)), kernel, padding=(h // 2, w // 2))[0, 0]


def load_views() -> tuple[Tensor, Tensor, np.ndarray]:
    """Left and right photograph with their depth, [1, 6, H, W], and how far the left one's pixels move, in px."""
    left, right, moves = stereo_motorcycle()
    moves = np.nan_to_num(moves, posinf=0).round().astype(int)
    rows, columns = np.nonzero(moves)
    right_moves = np.zeros_like(moves)
    right_moves[rows, np.maximum(0, columns - moves[rows, columns])] = moves[rows, columns]
    views = [np.dstack((image / 127.5 - 1, *[m / 30 - 1] * 3)) for image, m in ((left, moves), (right, right_moves))]
    return *(torch.from_numpy(view).float().permute(2, 0, 1)[None] for view in views), moves


def cut(image: Tensor, x: int, y: int, side: int) -> Tensor:
    """A square, by its middle."""
    return image[..., y - side // 2 : y + side // 2, x - side // 2 : x + side // 2]


def main(*words: str) -> None:
    """Look for every object around its place in the other view, print where it is found, and draw it."""
    options = dict(word.split("=", 1) for word in words)
    torch.manual_seed(0)
    encoder = TrackerEncoder(options.get("model", "fastitpn_tiny"), options.get("weights")).eval()
    left, right, moves = load_views()
    sheet = Figure(figsize=(8, 2.8 * len(OBJECTS)), layout="constrained")
    for (name, (x, y, side)), axes in zip(OBJECTS.items(), sheet.subplots(len(OBJECTS), 3), strict=True):
        template, search, inside = cut(left, x, y, 112), cut(right, x, y, 256), torch.zeros(1, 1, 112, 112)
        cut(inside, 56, 56, side).fill_(1)
        scores = score_map(encoder, template, inside, search)
        row, column = divmod(int(scores.argmax()), scores.shape[1])
        print(f"{name}: found at x={16 * column + 8} y={16 * row + 8}, is at x={128 - moves[y, x]} y=128")
        for axis, image in zip(axes, (template, search), strict=False):
            axis.imshow((image[0, :3].permute(1, 2, 0).numpy() + 1) / 2)
        axes[1].plot(16 * column + 8, 16 * row + 8, "+", color="lime", markersize=20, markeredgewidth=3)
        axes[2].imshow(scores.numpy())
        for axis, title in zip(axes, (name, "where it is found", "scores of the tokens"), strict=True):
            axis.set(title=title, xticks=[], yticks=[])
    sheet.savefig(options.get("out", "tracker.png"), dpi=96)


if __name__ == "__main__":
    main(*sys.argv[1:])
