"""MaskDINO's decoder: queries with a class, a box and a mask each."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.ops import box_convert

from fastitpn.tasks.detr.decoder import MLP, Decoder
from fastitpn.tasks.detr.denoising import Denoising
from fastitpn.tasks.detr.encoder import xavier
from fastitpn.tasks.detr.levels import Levels, flatten
from fastitpn.tasks.detr.position import inverse_sigmoid
from fastitpn.tasks.detr.proposals import best_cells, cell_proposals, gather
from fastitpn.tasks.maskdino.boxes import boxes_around

EPS = 1e-5
"""How far from 0 and 1 boxes are kept before their logit is taken."""


class Predictions(NamedTuple):
    """What one layer predicts of Q queries."""

    logits: Tensor
    """[B, Q, classes]; with one more, of no object, where classes are learnt by cross entropy."""
    boxes: Tensor
    """float32 [B, Q, 4]: centre, width and height as shares of the image."""
    masks: Tensor
    """Logits [B, Q, H / 4, W / 4]."""

    def part(self, places: slice) -> "Predictions":
        """The predictions of some of the queries."""
        return Predictions(*(predicted[:, places] for predicted in self))


class Start(NamedTuple):
    """What the decoder begins with."""

    contents: Tensor
    """[B, Q, width]."""
    references: Tensor
    """Logits of boxes [B, Q, 4]."""
    guesses: Predictions | None
    """Of the cells that were chosen; None where queries are learnt."""


class Predictor(nn.Module):
    """Chooses or learns queries, refines them, and predicts with the same heads before and after every layer.

    Args:
        width: Channels.
        mask_width: Channels of the features that masks are made of.
        num_logits: Classes, and perhaps no object.
        num_classes: Rows of the table of denoising.
        queries: Objects in an image at most.
        heads: Attention heads.
        hidden: Width of the feed-forward networks.
        layers: Layers of the decoder.
        levels: Levels that are looked at.
        two_stage: Choose the best cells as queries; else queries are learnt.
        box_start: Where boxes of chosen cells begin: around their mask, see `boxes_around`, or "no": as predicted.
    """

    def __init__(
        self,
        width: int,
        *,
        mask_width: int,
        num_logits: int,
        num_classes: int,
        queries: int,
        heads: int,
        hidden: int,
        layers: int,
        levels: int,
        two_stage: bool,
        box_start: str,
    ):
        super().__init__()
        self.queries, self.box_start, self.two_stage = queries, box_start, two_stage
        if two_stage:
            self.enc_output, self.enc_output_norm = nn.Linear(width, width), nn.LayerNorm(width)
            xavier(self.enc_output)
        else:
            self.query_feat, self.query_embed = nn.Embedding(queries, width), nn.Embedding(queries, 4)
        self.class_embed = nn.Linear(width, num_logits)
        self.label_enc = nn.Embedding(num_classes, width)
        self.mask_embed = MLP(width, width, width, mask_width)
        self.decoder = Decoder(layers, width, eps=EPS, heads=heads, hidden=hidden, levels=levels)

    def forward(
        self,
        maps: Sequence[Tensor],
        pixels: Tensor,
        denoise: Callable[[int], Denoising | None] | None = None,
        *,
        last: bool = False,
    ) -> tuple[list[Predictions], Predictions | None, Denoising | None]:
        """Predict.

        Args:
            maps: Levels of the pixel decoder [B, width, h, w], in its order.
            pixels: Features [B, mask_width, H / 4, W / 4].
            denoise: Makes further queries beside so many.
            last: Predict after the last layer alone.

        Returns:
            Predictions before the decoder and after each layer, denoising queries first; those of the cells that were
            chosen; and the denoising queries.
        """
        maps = list(maps)[::-1]
        levels, memory = Levels.whole(maps), flatten(maps)
        contents, references, guesses = self.start(memory, levels, pixels)
        denoising = None if denoise is None else denoise(references.shape[1])
        if denoising is not None:
            contents = torch.cat((denoising.contents, contents), 1)
            references = torch.cat((denoising.references, references), 1)
        mask = None if denoising is None else denoising.mask
        decoded = self.decoder(contents, references, memory, levels, mask)
        if last:
            decoded = decoded.last()
        states = [self.decoder.norm(state) for state in decoded.states]
        boxes = self.decoder.boxes(decoded)
        if not last:
            states, boxes = [contents, *states], [references.float().sigmoid(), *boxes]
        predictions = [self.predict(state, box, pixels) for state, box in zip(states, boxes, strict=True)]
        return predictions, guesses, denoising

    def start(self, memory: Tensor, levels: Levels, pixels: Tensor) -> Start:
        """Queries to begin with, of cells [B, N, width]."""
        if not self.two_stage:
            batch = memory.shape[0]
            contents, references = self.query_feat.weight, self.query_embed.weight
            return Start(contents.expand(batch, -1, -1), references.expand(batch, -1, -1), None)
        proposals, removed = cell_proposals(levels)
        features = self.enc_output_norm(self.enc_output(memory.masked_fill(removed[..., None], 0)))
        places = best_cells(self.class_embed(features).float(), self.queries)
        contents = gather(features, places)
        references = self.decoder.bbox_embed(contents).float() + gather(proposals, places)
        guesses = self.predict(contents, references.sigmoid(), pixels)
        return Start(contents.detach(), self._references(references, guesses.masks).detach(), guesses)

    def predict(self, states: Tensor, boxes: Tensor, pixels: Tensor) -> Predictions:
        """Classes and masks of queries [B, Q, width], beside their boxes."""
        states = self.decoder.norm(states)
        masks = torch.einsum("bqc,bchw->bqhw", self.mask_embed(states), pixels)
        return Predictions(self.class_embed(states), boxes, masks)

    def _references(self, references: Tensor, masks: Tensor) -> Tensor:
        if self.box_start == "no":
            return references
        height, width = masks.shape[-2:]
        corners = boxes_around(masks > 0, self.box_start)
        x, y, wide, high = box_convert(corners, "xyxy", "cxcywh").unbind(-1)
        # of one tensor of the sizes, a traced graph would keep the numbers
        return inverse_sigmoid(torch.stack((x / width, y / height, wide / width, high / height), -1), EPS)
