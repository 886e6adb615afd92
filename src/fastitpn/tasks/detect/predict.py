"""`fastitpn predict` for detection: pictures and videos with boxes and masks."""

from collections.abc import Sequence
from dataclasses import replace
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
from fastitpn.tasks.detect.predictor import DetectPredictor
from fastitpn.tasks.detect.results import Detections
from fastitpn.tasks.detect.trained import load_detector
from fastitpn.tasks.keys import PredictConfig
from fastitpn.tasks.segment.config import ViewsConfig
from fastitpn.tasks.video_frames import detect_frames

PREDICTIONS, COCO, SHEET, PICTURES = "predictions.jsonl", "coco.json", "contact_sheet.png", "pictures"
_ROWS = 10


def run_predict_detect(config: PredictConfig, checkpoint: TrainedCheckpoint) -> Detections:
    """Predict, and write pictures/*.png, `predictions.jsonl`, `coco.json` and `contact_sheet.png`.

    In a folder, files that cannot be read are skipped and named. Of videos, see `predict_videos`.

    Raises:
        InputError: The checkpoint or the source does not fit, or no image can be read.
    """
    check_unused(config, checkpoint, ViewsConfig)
    if config.top_k != type(config).__dataclass_fields__["top_k"].default:
        raise InputError("top_k: of no use for a checkpoint of the task 'detect'", fix="leave it out")
    detector = load_detector(checkpoint, config.acceleration).at(config.px, config.max_px)
    found = find_inputs(config.source, config.out, (SHEET, PICTURES, VIDEOS))
    make_folder(config.out)
    predictor = DetectPredictor.of(detector, device=config.device, precision=config.precision)
    ids = detector.classes.ids
    predictions = _predict_images(found.images, config, predictor, ids) if found.images else Detections(())
    videos = predict_videos(found.videos, config, detect_frames(predictor, config.min_score))
    return replace(predictions, videos=videos)


def _predict_images(
    paths: Sequence[Path], config: PredictConfig, predictor: DetectPredictor, category_ids: Sequence[int]
) -> Detections:
    names = output_names(paths, config.source)
    results, skipped = [], []
    stream = predictor.stream(
        paths,
        config.min_score,
        workers=config.workers,
        on_error="stop" if config.source.is_file() else "skip",
        progress=len(paths) > 1,
    )
    for one in stream:
        if isinstance(one, Skipped):
            skipped.append(one)
        else:
            save_picture(one.draw(), config.out / PICTURES / names[one.index])
            results.append(one)
    predictions = Detections(tuple(results), tuple(skipped))
    if not predictions:
        raise none_readable(predictions.skipped, len(paths))
    say_others(config.out / PICTURES, [names[one.index] for one in predictions])
    predictions.to_json_lines(config.out / PREDICTIONS)
    root = source_root(config.source)
    predictions.to_coco(config.out / COCO, category_ids=category_ids, root=root)
    save_picture(predictions.contact_sheet(), config.out / SHEET)
    _print(predictions, config)
    return predictions


def _print(predictions: Detections, config: PredictConfig) -> None:
    rows = [
        (str(place_in(config.source, one.path)), f"{one.size[0]}x{one.size[1]}", one.summary())
        for one in predictions[:_ROWS]
        if one.path is not None
    ]
    more = f"and {len(predictions) - _ROWS} more" if len(predictions) > _ROWS else ""
    columns = ("image", "px", f"found with a score from {config.min_score:g} on")
    print_table(Table("Predictions", columns, rows, caption=more))
    for line in skipped_lines(predictions.skipped):
        print(printable(line))
    out, root = config.out, source_root(config.source)
    print(f"pictures: {out / PICTURES}, things: {out / PREDICTIONS}, the same in COCO's format: {out / COCO}")
    print(f"to correct and train on: finetune detect data={out / COCO} images={root}")
