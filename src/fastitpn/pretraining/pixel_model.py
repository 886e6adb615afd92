"""The published pre-training of iTPN on pixels: a masked autoencoder with a pyramid."""

from typing import Any

import torch
from torch import Tensor, nn

from fastitpn.errors import InputError
from fastitpn.models.backbone import FastITPN
from fastitpn.models.initialization import initialize
from fastitpn.models.layers.attention import AttentionBlock
from fastitpn.models.layers.cells import PATCH, patchify
from fastitpn.models.layers.norm import Norm
from fastitpn.models.layers.onednn import Linear
from fastitpn.models.layers.position import resample_position_table, resize_position_table
from fastitpn.models.registry import create_model
from fastitpn.models.trunk import check_image_size
from fastitpn.pretraining.level_merge import LevelMerge


class PixelDecoder(nn.Module):
    """Attention over all patches, from the visible ones and mask tokens to the pixels of each.

    Args:
        dim: Channels.
        depth: Blocks.
        num_heads: Attention heads.
        grid: Patches per column and per row of the position table, which is not trained.
        out_dim: Numbers a patch.
    """

    def __init__(
        self, dim: int, depth: int, num_heads: int, grid: tuple[int, int], out_dim: int, device=None, dtype=None
    ):
        super().__init__()
        dd: dict[str, Any] = {"device": device, "dtype": dtype}
        self.grid = grid
        self.pos_embed = nn.Parameter(torch.empty(1, grid[0] * grid[1], dim, **dd), requires_grad=False)
        blocks = (
            AttentionBlock(
                dim,
                num_heads,
                hidden=4 * dim,
                swiglu=False,
                sub_norm=False,
                qkv_bias=True,
                key_bias=True,
                init_values=0.0,
                relative_position=None,
                grid=grid,
                **dd,
            )
            for _ in range(depth)
        )
        self.blocks = nn.ModuleList(blocks)
        self.norm = Norm(dim, **dd)
        self.predictor = Linear(dim, out_dim, **dd)

    def init_weights(self) -> None:
        """Fill all weights with start values."""
        initialize(self, "pretrain", init_values=0.0, num_attention_blocks=1, family="itpn")
        self.pos_embed.data.copy_(sine_cosine_table(self.pos_embed.shape[2], *self.grid))

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """[B, N, dim] of a map of height x width patches to [B, N, out_dim]."""
        x = tokens + resize_position_table(self.pos_embed, *self.grid, height, width, "scale_factor")
        for block in self.blocks:
            x = block(x)
        return self.predictor(self.norm(x))


class PixelModel(nn.Module):
    """Visible patches alone pass trunk and pyramid; the decoder predicts the pixels of all.

    The levels are projected to the decoder and summed, and so are as many mask tokens in the place of hidden patches.

    Args:
        backbone: An iTPN with a pyramid, without relative positions, pooling and head.
        decoder_dim: Channels of the decoder.
        decoder_depth: Attention blocks of the decoder.
        decoder_heads: Attention heads of each.
        out_dim: Numbers that are predicted for a patch; None: its pixels in all channels.

    Attributes:
        names: The name of its prediction.
        shown: The one that pictures show.
    """

    names = ("pixels",)
    shown = "pixels"

    def __init__(
        self,
        backbone: FastITPN,
        *,
        decoder_dim: int = 512,
        decoder_depth: int = 8,
        decoder_heads: int = 16,
        out_dim: int | None = None,
        device=None,
        dtype=None,
    ):
        super().__init__()
        dd = {"device": device, "dtype": dtype}
        pyramid = backbone.pyramid
        assert pyramid is not None
        self.backbone = backbone
        self.mask_token = nn.Parameter(torch.empty(1, decoder_dim, **dd))
        self.merge16 = LevelMerge(1, pyramid.dim, decoder_dim, **dd)
        self.merge8 = LevelMerge(4, pyramid.dim, decoder_dim, apart=True, **dd)
        self.merge4 = LevelMerge(16, pyramid.dim, decoder_dim, apart=True, **dd)
        out_dim = PATCH * PATCH * backbone.in_chans if out_dim is None else out_dim
        self.patch_decoder = PixelDecoder(
            decoder_dim, decoder_depth, decoder_heads, backbone.position_grid, out_dim, **dd
        )
        if not self.mask_token.is_meta:
            self.init_weights()

    def init_weights(self) -> None:
        """Fill all weights with start values: positions are sines and cosines, which only the trunk learns on."""
        self.backbone.init_weights("pretrain")
        assert self.backbone.pos_embed is not None
        table = sine_cosine_table(self.backbone.embed_dim, *self.backbone.position_grid)
        self.backbone.pos_embed.data.copy_(table)
        for merge in (self.merge16, self.merge8, self.merge4):
            initialize(merge, "pretrain", init_values=0.0, num_attention_blocks=1, family="itpn")
        nn.init.normal_(self.mask_token, std=0.02)
        self.patch_decoder.init_weights()

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """The layers of the backbone; all else has the whole learning rate."""
        return self.backbone.group_matcher(coarse)

    def predict(self, images: Tensor, masked: Tensor) -> dict[str, Tensor]:
        """The prediction by its name, [B, N, 1, numbers a patch]."""
        return {"pixels": self(images, masked).unsqueeze(2)}

    def predict_with_tokens(self, images: Tensor, masked: Tensor) -> tuple[dict[str, Tensor], None]:
        """The prediction; there are no tokens of all patches."""
        return self.predict(images, masked), None

    def levels(self, images: Tensor, masked: Tensor | None = None) -> list[Tensor]:
        """Pyramid levels of the visible patches, V of them in raster order; all patches where none is hidden.

        Args:
            images: [B, in_chans, H, W].
            masked: [B, N] bool, True = hidden; the same number in every image.

        Returns:
            Strides 4, 8, 16: [B, V, 16, dim], [B, V, 4, dim], [B, V, 1, dim].

        Raises:
            InputError: H or W is no multiple of 16, or images have different numbers of hidden patches.
        """
        check_image_size(*images.shape[-2:])
        if masked is None:
            masked = images.new_zeros(len(images), images[0, 0].numel() // PATCH**2, dtype=torch.bool)
        visible = ~masked
        counts = visible.sum(1).tolist()
        if len(set(counts)) > 1 or counts[0] == 0:
            raise InputError(
                f"images with {min(counts)} to {max(counts)} visible patches",
                where="masked",
                expected="the same number in every image, at least 1",
            )
        trunk, (height, width) = self.backbone, (side // PATCH for side in images.shape[-2:])
        patches = patchify(images)
        B, _, *cells = patches.shape
        f4, f8, x16 = trunk._encode_patches(patches[visible].reshape(B, counts[0], *cells))
        assert trunk.pos_embed is not None
        # Published: resampled at any size, its own, too, since the table has more rows than there are visible patches
        table = resample_position_table(trunk.pos_embed, *trunk.position_grid, height, width, trunk.position_resize)
        tokens = x16.squeeze(2) + table.expand(B, -1, -1)[visible].reshape(B, counts[0], -1)
        return trunk.pyramid_cells([f4, f8, trunk._run_blocks(tokens, None, 1, trunk.num_attention_blocks)])

    def forward(self, images: Tensor, masked: Tensor) -> Tensor:
        """Predict the pixels.

        Args:
            images: [B, in_chans, H, W].
            masked: [B, N] bool, True = hidden; the same number in every image.

        Returns:
            [B, N, numbers a patch], for hidden and visible patches; (row, column, channel) in a patch.
        """
        p4, p8, p16 = self.levels(images, masked)
        visible = self.merge16(p16) + self.merge8(p8) + self.merge4(p4)  # [B, V, decoder_dim]
        tokens = (3 * self.mask_token).to(visible.dtype).expand(*masked.shape, -1)
        tokens = tokens.masked_scatter(~masked.unsqueeze(-1), visible)
        return self.patch_decoder(tokens, images.shape[-2] // PATCH, images.shape[-1] // PATCH)


def create_pixel_model(name: str = "itpn_base_pixel", **kw: Any) -> PixelModel:
    """Build the model of iTPN's pre-training on pixels.

    Args:
        name: `itpn_base_pixel` or `itpn_large_pixel`.
        **kw: As for `PixelModel` (`decoder_dim`, ...) and for `create_model` (`img_size`, `pyramid_dim`, ...).

    Returns:
        `model(images, masked)`; published files go in through `load_weights`.
    """
    names = ("decoder_dim", "decoder_depth", "decoder_heads", "out_dim")
    of_decoder = {key: kw.pop(key) for key in names if key in kw}
    of_decoder |= {key: kw[key] for key in ("device", "dtype") if key in kw}
    kw = {"relative_position": "off", **kw}
    if kw.get("num_registers"):
        raise InputError("registers in the pre-training on pixels", expected="0", fix="registers=0")
    return PixelModel(create_model(name, pyramid=True, num_classes=0, global_pool="", **kw), **of_decoder)


def pixel_loss(predictions: Tensor, images: Tensor, masked: Tensor) -> Tensor:
    """Mean squared difference to the pixels of hidden patches, each patch normalised by its own mean and variance.

    Args:
        predictions: [B, N, 256 * in_chans], what `PixelModel` gives.
        images: [B, in_chans, H, W].
        masked: [B, N] bool.

    Returns:
        One number.
    """
    return (predictions - normalised_patches(images)).square().mean(-1)[masked].mean()


def normalised_patches(images: Tensor) -> Tensor:
    """The pixels of each patch less their mean, over their spread: the targets.

    Args:
        images: [B, in_chans, H, W].

    Returns:
        [B, N, 256 * in_chans], (row, column, channel) in a patch.
    """
    pixels = _patches(images)
    return (pixels - pixels.mean(-1, keepdim=True)) / _spread(pixels)


def reconstruct(images: Tensor, predictions: Tensor, masked: Tensor) -> Tensor:
    """Images whose hidden patches are predictions, with the mean and the spread of the true ones; as `images`."""
    pixels, (B, C, H, W) = _patches(images), images.shape
    predicted = predictions.float() * _spread(pixels) + pixels.mean(-1, keepdim=True)
    patches = torch.where(masked.unsqueeze(-1), predicted, pixels)
    patches = patches.reshape(B, H // PATCH, W // PATCH, PATCH, PATCH, C)
    return patches.permute(0, 5, 1, 3, 2, 4).reshape(images.shape)


def _patches(images: Tensor) -> Tensor:
    B, C, H, W = images.shape
    pixels = images.reshape(B, C, H // PATCH, PATCH, W // PATCH, PATCH).permute(0, 2, 4, 3, 5, 1)
    return pixels.reshape(B, -1, PATCH * PATCH * C)


def _spread(pixels: Tensor) -> Tensor:
    return (pixels.var(-1, keepdim=True) + 1e-6).sqrt()


def sine_cosine_table(dim: int, height: int, width: int) -> Tensor:
    """Fixed positions: half of the channels say the column, half the row; sines, then cosines. [1, h * w, dim]."""
    frequencies = 10000 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    halves = []
    for places in (torch.arange(width).repeat(height), torch.arange(height).repeat_interleave(width)):
        angles = places[:, None] * frequencies
        halves += [angles.sin(), angles.cos()]
    return torch.cat(halves, 1).float().unsqueeze(0)
