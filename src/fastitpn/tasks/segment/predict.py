"""`fastitpn predict` for segmentation: masks and overlays of images, and videos in the colours of the classes."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from fastitpn.errors import InputError
from fastitpn.inference.predict_video import VIDEOS, predict_videos
from fastitpn.inference.results import Skipped, none_readable, skipped_lines
from fastitpn.inference.sources import source_root
from fastitpn.inference.written_pictures import find_inputs, output_names, place_in, save_picture, say_others
from fastitpn.reporting.sections import Table
from fastitpn.reporting.tables import print_table
from fastitpn.reporting.values import printable
from fastitpn.runs.output import make_folder
from fastitpn.runs.trained_model import TrainedCheckpoint, check_unused
from fastitpn.tasks.detect.config import DetectionsConfig
from fastitpn.tasks.keys import PredictConfig
from fastitpn.tasks.segment.evaluation import views_of
from fastitpn.tasks.segment.panoptic_results import PanopticSegmentation, write_coco_panoptic
from fastitpn.tasks.segment.predictor import SegmentPredictor
from fastitpn.tasks.segment.results import Segmentation, Segmentations
from fastitpn.tasks.segment.trained import load_segmenter
from fastitpn.tasks.video_frames import segment_frames

PREDICTIONS, SHEET, MASKS, OVERLAYS = "predictions.jsonl", "contact_sheet.png", "masks", "overlays"
PANOPTIC = "panoptic"
"""Folder of the PNGs of segments, and with `.json` the file that goes with them."""
_ROWS = 10
_OVERLAY_PX = 2048


def run_predict_segment(config: PredictConfig, checkpoint: TrainedCheckpoint) -> Segmentations:
    """Predict, and write masks/*.png, overlays/*.png, `predictions.jsonl` and `contact_sheet.png`.

    Of a panoptic network panoptic/*.png and `panoptic.json` take the place of the masks.

    In a folder, files that cannot be read are skipped and named. The labels in the results are read from the masks
    when they are asked for, so that a folder may be as long as it likes. Of videos, see `predict_videos`.

    Raises:
        InputError: The checkpoint or the source does not fit, or no image can be read.
    """
    check_unused(config, checkpoint, DetectionsConfig)
    if config.top_k != type(config).__dataclass_fields__["top_k"].default:
        raise InputError("top_k: of no use for a checkpoint of the task 'segment'", fix="leave it out")
    segmenter = load_segmenter(checkpoint, config.acceleration)
    views = views_of(config, segmenter, config.px)
    found = find_inputs(config.source, config.out, (SHEET, MASKS, PANOPTIC, OVERLAYS, VIDEOS))
    make_folder(config.out)
    predictor = SegmentPredictor.of(segmenter, views, device=config.device, precision=config.precision)
    predictions = _predict_images(found.images, config, predictor) if found.images else Segmentations(())
    videos = predict_videos(found.videos, config, segment_frames(predictor))
    return dataclasses.replace(predictions, videos=videos)


def _predict_images(paths: Sequence[Path], config: PredictConfig, predictor: SegmentPredictor) -> Segmentations:
    names = output_names(paths, config.source)
    results, skipped = [], []
    on_error = "stop" if config.source.is_file() else "skip"
    for one in predictor.stream(paths, workers=config.workers, on_error=on_error, progress=len(paths) > 1):  # type: ignore[arg-type]
        if isinstance(one, Skipped):
            skipped.append(one)
        else:
            results.append(_write(one, config.out, names[one.index]))
    predictions = Segmentations(tuple(results), tuple(skipped))
    if not predictions:
        raise none_readable(predictions.skipped, len(paths))
    say_others(config.out / OVERLAYS, [names[one.index] for one in predictions])
    predictions.to_json_lines(config.out / PREDICTIONS)
    if segments := [one for one in predictions if isinstance(one, PanopticSegmentation)]:
        pngs = config.out / PANOPTIC
        write_coco_panoptic(segments, pngs.with_suffix(".json"), pngs=pngs, root=source_root(config.source))
    save_picture(predictions.contact_sheet(), config.out / SHEET)
    _print(predictions, config)
    return predictions


def _write(one: Segmentation, out: Path, name: Path) -> Segmentation:
    """The same, with its labels on the disk."""
    mask = out / (PANOPTIC if isinstance(one, PanopticSegmentation) else MASKS) / name
    save_picture(one.index_image(), mask)
    save_picture(one.draw(_OVERLAY_PX), out / OVERLAYS / name)
    return dataclasses.replace(one, mask=mask)


def _print(predictions: Segmentations, config: PredictConfig) -> None:
    rows = [
        (str(place_in(config.source, one.path)), f"{one.size[0]}x{one.size[1]}", one.summary())
        for one in predictions[:_ROWS]
        if one.path is not None
    ]
    more = f"and {len(predictions) - _ROWS} more" if len(predictions) > _ROWS else ""
    panoptic = isinstance(predictions[0], PanopticSegmentation)
    print_table(Table("Predictions", ("image", "px", "largest classes"), rows, caption=more))
    for line in skipped_lines(predictions.skipped):
        print(printable(line))
    masks, lines = ("segments", "what they are") if panoptic else ("masks", "shares")
    place = config.out / (PANOPTIC if panoptic else MASKS)
    print(f"{masks}: {place}, overlays: {config.out / OVERLAYS}, {lines}: {config.out / PREDICTIONS}")
