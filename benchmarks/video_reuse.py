"""Frames of a video with `reuse=true` against frames computed anew: time, and how alike the masks are.

    python -m benchmarks.video_reuse [key=value ...]

Three sequences: `camvid`, frames of a moving camera a second apart, in which nearly everything changes; `static`, one
of these frames with a part of another moving over it by a few pixels; `noise`, the same with the noise of a sensor, a
normal distribution of 2 of 255 grey levels, under which no pixel stays as it was. The network is a trained one, such as

    fastitpn finetune segment data=../shared/data/camvid model=fastitpn_nano scratch=true head=linear epochs=7

Time is the processor time of one core, over all frames: `features_speed_up` of trunk and pyramid, `speed_up` of the
whole prediction. `iou` is the mean IoU of the masks with those of the frames computed anew, in percent.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.harness.options import Options as AnyOptions
from benchmarks.harness.options import start
from benchmarks.harness.results import Results, Row
from fastitpn.config.types import Count, ImagePx, NonNegative
from fastitpn.data.images.decode import read_image
from fastitpn.data.images.folders import list_images
from fastitpn.models.frame_reuse import FrameReuse
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.segment.predictor import SegmentPredictor
from fastitpn.tasks.segment.scores import pixel_confusion, segmentation_scores
from fastitpn.tasks.segment.spec import SPEC
from fastitpn.tasks.segment.views import TestTimeViews

NOISE = 2.0
"""Standard deviation of a sensor's noise, in grey levels of 255."""
STEP_PX = 6
"""Pixels that the moving part moves between frames."""


@dataclass(frozen=True, kw_only=True)
class Options(AnyOptions):
    """Videos."""

    _unwritten = ("out", "checkpoint", "data")

    checkpoint: Path = Path("runs/segment")
    """A segmentation network trained on frames like these."""
    data: Path = Path("../shared/data/camvid")
    """Folder of CamVid, whose test images are looked at."""
    frames: Count = 16
    """Frames of a sequence."""
    px: ImagePx = 352
    """Shorter side at which a frame is looked at."""
    thresholds: tuple[NonNegative, ...] = (0.0, 0.1, 0.2)
    """Values of reuse_threshold."""


def sequences(folder: Path, frames: int) -> dict[str, list[Image.Image]]:
    """The frames by the name of their sequence."""
    real = [read_image(path) for path in list_images(folder)[:frames]]
    still, width, height = real[0], real[0].width, real[0].height
    part = real[-1].crop((width // 2, height // 2, width // 2 + width // 6, height // 2 + height // 6))
    static = []
    for number in range(frames):
        static.append(still.copy())
        static[-1].paste(part, (STEP_PX * number, height // 2))
    rng = np.random.default_rng(0)
    noise = [np.asarray(frame) + rng.normal(0, NOISE, (height, width, 3)) for frame in static]
    noisy = [Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)) for pixels in noise]
    return {"camvid": real, "static": static, "noise": noisy}


def seconds(run: Callable[[], object]) -> float:
    """Processor time of a call."""
    started = time.process_time()
    run()
    return time.process_time() - started


@torch.inference_mode()
def look(
    predictor: SegmentPredictor, frames: Sequence[Image.Image], reuse: FrameReuse | None
) -> tuple[list[np.ndarray], float, float]:
    """Labels of all frames, and the time of their predictions and of their features alone."""
    labels: list[np.ndarray] = []
    whole = features = 0.0
    for alone in (False, True):
        with reuse or nullcontext():
            for frame in frames:
                if reuse is not None:
                    reuse.next_frame()
                predict = predictor.prepare(frame)
                if alone:
                    height, width = predictor.views.sizes(frame.height, frame.width)[0]
                    pixels = predictor.transform(frame.resize((width, height)))[None]
                    features += seconds(lambda pixels=pixels: predictor._model.feature_maps(pixels))
                else:
                    whole += seconds(lambda predict=predict: labels.append(predict().labels))
    return labels, whole, features


def measure(predictor: SegmentPredictor, frames: Sequence[Image.Image], reuse: FrameReuse) -> Row:
    """One threshold against no reuse, right after each other."""
    expected, plain, plain_features = look(predictor, frames, None)
    labels, whole, features = look(predictor, frames, reuse)
    count = len(predictor.classes)
    matrix = torch.zeros(count, count, dtype=torch.int64)
    for truth, found in zip(expected, labels, strict=True):
        matrix += pixel_confusion(torch.from_numpy(found), torch.from_numpy(truth), count)
    return {
        "computed_percent": round(100 * reuse.computed / reuse.total, 1),
        "iou": round(segmentation_scores(matrix)["miou"], 2),
        "same_pixels_percent": round(segmentation_scores(matrix)["pixel_accuracy"], 2),
        "speed_up": round(plain / whole, 2),
        "features_speed_up": round(plain_features / features, 2),
        "features_ms": round(1e3 * plain_features / len(frames), 1),
    }


def run(options: Options) -> None:
    """Measures all sequences, prints and stores them."""
    torch.set_num_threads(1)
    trained = load_trained(options.checkpoint, task="segment")
    predictor = SPEC.predictor(trained, device="cpu", views=TestTimeViews(px=options.px))
    about = {"model": trained.about.model["name"], "head": trained.about.head["name"]}
    results = Results(
        options, lambda rows: {"scale": f"{options.frames} frames, shorter side {options.px} px", **about}
    )
    for name, frames in sequences(options.data / "images" / "test", options.frames).items():
        for threshold in options.thresholds:
            reuse = FrameReuse(trained.backbone, threshold)
            results.add({"sequence": name, "threshold": threshold, **measure(predictor, frames, reuse)})
    results.finish()


if __name__ == "__main__":
    start(Options, run)
