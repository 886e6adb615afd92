"""`fastitpn predict`: the classes of an image or a video, or of all in a folder."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fastitpn.config import PredictConfig
from fastitpn.config.detections import DetectionsConfig
from fastitpn.config.masks import ViewsConfig
from fastitpn.files import replacing
from fastitpn.inference.predict_video import VIDEOS, predict_videos
from fastitpn.inference.results import SHEET_IMAGES, Classification, Predictions, none_readable, skipped_lines
from fastitpn.inference.written_pictures import find_inputs, place_in
from fastitpn.reporting.sections import Table
from fastitpn.reporting.tables import print_table
from fastitpn.reporting.values import printable
from fastitpn.runs.output import make_folder
from fastitpn.runs.trained_model import check_unused, load_classifier, open_checkpoint
from fastitpn.tasks.classify.predictor import Predictor
from fastitpn.tasks.detect.predict import run_predict_detect
from fastitpn.tasks.detect.results import Detections
from fastitpn.tasks.segment.predict import run_predict_segment
from fastitpn.tasks.segment.results import Segmentations
from fastitpn.tasks.video_frames import classify_frames

PREDICTIONS, SHEET = "predictions.jsonl", "contact_sheet.png"
_ROWS = 10


def run_predict(config: PredictConfig) -> Predictions | Segmentations | Detections:
    """Predict with a checkpoint of any task, see `run_predict_segment` and `run_predict_detect`.

    For a classifier, `predictions.jsonl` and `contact_sheet.png` are written, and the first rows printed. In a
    folder, files that cannot be read are skipped and named. Only these two files are replaced in `out`. Of videos, see
    `predict_videos`.

    Raises:
        InputError: The checkpoint or the source does not fit, or no image can be read.
    """
    checkpoint = open_checkpoint(config.checkpoint)
    if checkpoint.task == "segment":
        return run_predict_segment(config, checkpoint)
    if checkpoint.task == "detect":
        return run_predict_detect(config, checkpoint)
    check_unused(config, checkpoint, ViewsConfig, DetectionsConfig)
    classifier = load_classifier(checkpoint, config.acceleration)
    classifier = replace(classifier, px=config.px or classifier.px)
    found = find_inputs(config.source, config.out, (SHEET, VIDEOS))
    make_folder(config.out)
    predictor = Predictor.of(classifier, device=config.device, precision=config.precision)
    predictions = _predict_images(found.images, config, predictor) if found.images else Predictions(())
    task = classify_frames(predictor, top_k=config.top_k, batch=config.batch)
    return replace(predictions, videos=predict_videos(found.videos, config, task))


def _predict_images(paths: Sequence[Path], config: PredictConfig, predictor: Predictor) -> Predictions:
    predictions = predictor(
        paths,
        config.top_k,
        batch=config.batch,
        workers=config.workers,
        on_error="stop" if config.source.is_file() else "skip",
        progress=len(paths) > config.batch,
    )
    if not predictions:
        raise none_readable(predictions.skipped, len(paths))
    predictions.to_json_lines(config.out / PREDICTIONS)
    with replacing(config.out / SHEET) as file:
        predictions.contact_sheet().save(file, "PNG")
    _print(predictions, config)
    return predictions


def _print(predictions: Predictions, config: PredictConfig) -> None:
    rows = [
        (str(place_in(config.source, one.path)), one.label, one.score, _others(one))
        for one in predictions[:_ROWS]
        if one.path is not None
    ]
    more = f"and {len(predictions) - _ROWS} more" if len(predictions) > _ROWS else ""
    print_table(Table("Predictions", ("image", "class", "score", "then"), rows, caption=more))
    for line in skipped_lines(predictions.skipped):
        print(printable(line))
    part = f", pictures of the first {SHEET_IMAGES}" if len(predictions) > SHEET_IMAGES else ", pictures"
    print(f"predictions: {config.out / PREDICTIONS}{part}: {config.out / SHEET}")


def _others(result: Classification) -> str:
    return ", ".join(
        f"{label} {score:.2f}" for label, score in zip(result.labels[1:3], result.scores[1:3], strict=True)
    )
