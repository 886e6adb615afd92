"""DINO's encoder and decoder beside those of transformers' deformable DETR, and the memory of a step of its training.

    python -m benchmarks.detr [key=value ...]

Both have 4 levels of an image of 800x1333 px, 256 channels, 8 heads, 4 points, 6 + 6 layers, feed-forward networks of
2048 and 900 queries, random weights, fp32 and evaluation mode. Ours also ranks the cells, refines the boxes layer by
layer and gives classes; theirs is encoder and decoder alone, without refinement. They take turns, round after round.
The memory is that of one step of AdamW with forward and backward pass, in a process of its own, with checkpointing as
grad_checkpointing=true has it; without what Python and its libraries take before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from transformers import DeformableDetrConfig
from transformers.models.deformable_detr.modeling_deformable_detr import DeformableDetrDecoder, DeformableDetrEncoder

from benchmarks.harness.memory import peak_mib
from benchmarks.harness.options import SpeedOptions, start
from benchmarks.harness.results import Results, Row
from benchmarks.harness.rounds import take_turns
from benchmarks.harness.summary import median_ms, speed_up
from fastitpn.config.types import Count, ImagePx
from fastitpn.tasks.detect.heads.dino_network import DINONetwork, DINOSettings
from fastitpn.tasks.detect.model import create_detector
from fastitpn.tasks.detr.levels import Levels

HEIGHT, WIDTH = 800, 1333
CHANNELS, HIDDEN, HEADS, LAYERS, QUERIES, CLASSES = 256, 2048, 8, 6, 900, 80
STRIDES = (8, 16, 32, 64)
OBJECTS = 10
"""Objects of each image of the step that is measured."""


@dataclass(frozen=True, kw_only=True)
class Options(SpeedOptions):
    """Transformers of detection."""

    size: str = "base"
    """Size of the trunk whose training step is measured."""
    px: ImagePx = 640
    """Side of its images in pixels."""
    batch: tuple[Count, ...] = (1, 2)
    """Images of its step."""


class DeformableDETR(nn.Module):
    """Encoder and decoder of transformers, for flattened levels."""

    def __init__(self) -> None:
        super().__init__()
        config = DeformableDetrConfig(
            d_model=CHANNELS,
            encoder_layers=LAYERS,
            decoder_layers=LAYERS,
            encoder_ffn_dim=HIDDEN,
            decoder_ffn_dim=HIDDEN,
            encoder_attention_heads=HEADS,
            decoder_attention_heads=HEADS,
            num_feature_levels=len(STRIDES),
            num_queries=QUERIES,
        )
        self.encoder, self.decoder = DeformableDetrEncoder(config), DeformableDetrDecoder(config)
        self.queries = nn.Parameter(torch.randn(2, 1, QUERIES, CHANNELS))
        self.references = nn.Parameter(torch.rand(1, QUERIES, 4))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps [1, C, h, w] to what the queries have seen."""
        tokens = torch.cat([level.flatten(2).mT for level in maps], 1)
        sizes = [(level.shape[-2], level.shape[-1]) for level in maps]
        starts = [sum(height * width for height, width in sizes[:place]) for place in range(len(sizes))]
        about = {
            "spatial_shapes": torch.tensor(sizes),
            "spatial_shapes_list": sizes,
            "level_start_index": torch.tensor(starts),
            "valid_ratios": torch.ones(1, len(sizes), 2),
        }
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool)
        memory = self.encoder(
            inputs_embeds=tokens, attention_mask=mask, spatial_position_embeddings=torch.zeros_like(tokens), **about
        ).last_hidden_state
        decoded: Tensor = self.decoder(
            inputs_embeds=self.queries[0],
            encoder_hidden_states=memory,
            encoder_attention_mask=mask,
            object_queries_position_embeddings=self.queries[1],
            reference_points=self.references,
            **about,
        ).last_hidden_state
        return decoded


def transformers() -> dict[str, Callable[[], object]]:
    """A pass of each over the same levels."""
    torch.manual_seed(0)
    maps = [torch.randn(1, CHANNELS, -(-HEIGHT // stride), -(-WIDTH // stride)) for stride in STRIDES]
    settings = DINOSettings(
        channels=(CHANNELS,) * len(STRIDES),
        strides=STRIDES,
        width=CHANNELS,
        heads=HEADS,
        hidden=HIDDEN,
        queries=QUERIES,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
    )
    ours, theirs = DINONetwork(CLASSES, settings).eval().transformer, DeformableDETR().eval()
    return {"deformable_detr": partial(theirs, maps), "dino": partial(ours, maps, Levels.whole(maps))}


def measure_speed(rounds: int, device: str) -> list[Row]:
    """Milliseconds of each, and the ratio of DINO's to the other's."""
    with torch.inference_mode():
        times = take_turns(transformers(), rounds, device)
    ratio, spread = speed_up(times["dino"], times["deformable_detr"])
    rows = [{"arm": arm, "ms": median_ms(seconds)} for arm, seconds in times.items()]
    return [{**row, "time_ratio": ratio, "time_ratio_range": spread} if row["arm"] == "dino" else row for row in rows]


def step(size: str, px: int, batch: int, device: str) -> None:
    """One step of a training, from building the detector on."""
    torch.manual_seed(0)
    model = {"name": f"fastitpn_{size}", "arguments": {"img_size": px}}
    detector = create_detector(model, {"name": "dino", "arguments": {"queries": QUERIES, "width": CHANNELS}}, CLASSES)
    detector.to(device).train()
    for module in detector.modules():
        if callable(enable := getattr(module, "set_grad_checkpointing", None)):
            enable()
    optimizer = torch.optim.AdamW(detector.parameters(), lr=1e-4)
    images = [torch.randn(3, px, px, device=device) for _ in range(batch)]
    corners = px * torch.rand(batch, OBJECTS, 2, 2, device=device).sort(2).values
    labels = torch.randint(CLASSES, (batch, OBJECTS), device=device)
    targets = [{"boxes": boxes, "labels": of} for boxes, of in zip(corners.flatten(2), labels, strict=True)]
    detector.losses(images, targets)["loss"].backward()
    optimizer.step()


def run(options: Options) -> None:
    """Measures both, prints and stores them."""
    device = options.device
    if device == "cpu":
        torch.set_num_threads(1)
    scale = f"one image of {HEIGHT}x{WIDTH} px; a step at {options.px}x{options.px} px"
    results = Results(options, lambda rows: {"scale": scale}, device=device)
    if device == "cpu":  # the levels are made there
        for row in measure_speed(options.rounds, device):
            results.add(row)
    for batch in options.batch:
        peak = peak_mib(step, options.size, options.px, batch, device, device=device)
        arm = {"arm": "training step", "model": f"fastitpn_{options.size}", "px": options.px, "batch": batch}
        results.add({**arm, "peak_gib": round(peak / 1024, 2)})
    results.finish()


if __name__ == "__main__":
    start(Options, run)
