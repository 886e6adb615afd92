"""`fastitpn predict`: the classes of an image, or of all images in a folder."""

from pathlib import Path

from fastitpn.config import PredictConfig
from fastitpn.config.masks import ViewsConfig
from fastitpn.engine.atomic import replacing
from fastitpn.engine.output import make_folder
from fastitpn.engine.trained_model import check_unused, load_classifier, open_checkpoint
from fastitpn.inference.predict_segment import run_predict_segment
from fastitpn.inference.predictor import Predictor
from fastitpn.inference.results import SHEET_IMAGES, Classification, Predictions, none_readable, skipped_lines
from fastitpn.inference.segment_results import Segmentations
from fastitpn.inference.sources import collect_sources
from fastitpn.reporting.sections import Table
from fastitpn.reporting.tables import print_table
from fastitpn.reporting.values import printable

PREDICTIONS, SHEET = "predictions.jsonl", "contact_sheet.png"
_ROWS = 10


def run_predict(config: PredictConfig) -> Predictions | Segmentations:
    """Predict with a checkpoint of any task, see `run_predict_segment` for segmentation.

    For a classifier, `predictions.jsonl` and `contact_sheet.png` are written, and the first rows printed. In a
    folder, files that cannot be read are skipped and named. Only these two files are replaced in `out`.

    Raises:
        InputError: The checkpoint or the source does not fit, or no image can be read.
    """
    checkpoint = open_checkpoint(config.checkpoint)
    if checkpoint.task == "segment":
        return run_predict_segment(config, checkpoint)
    check_unused(config, checkpoint, ViewsConfig)
    classifier = load_classifier(checkpoint, config.acceleration)
    paths = _images(config)
    make_folder(config.out)
    predictor = Predictor.of(classifier, device=config.device, precision=config.precision)
    predictions = predictor(
        paths,
        config.top_k,
        batch=config.batch,
        workers=config.workers,
        on_error="skip" if config.source.is_dir() else "stop",
        progress=len(paths) > config.batch,
    )
    if not predictions:
        raise none_readable(predictions.skipped, len(paths))
    predictions.to_json_lines(config.out / PREDICTIONS)
    with replacing(config.out / SHEET) as file:
        predictions.contact_sheet().save(file, "PNG")
    _print(predictions, config)
    return predictions


def _images(config: PredictConfig) -> list[Path]:
    found = [source.path for source in collect_sources(config.source) if source.path is not None]
    if config.source.is_dir():  # where out is inside of it, the sheet of an earlier call is no image to predict
        own = (config.out / SHEET).resolve()
        return [path for path in found if path.name != SHEET or path.resolve() != own]
    return found


def _print(predictions: Predictions, config: PredictConfig) -> None:
    rows = [(_shown(one, config.source), one.label, one.score, _others(one)) for one in predictions[:_ROWS]]
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


def _shown(result: Classification, source: Path) -> str:
    """The path inside the folder that was asked for, or the name of the file that was."""
    assert result.path is not None
    return str(result.path.relative_to(source)) if source.is_dir() else result.path.name
