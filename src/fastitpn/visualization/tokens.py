"""`fastitpn visualize tokens`: which tokens leave the trunk at which step, and what each window gathers."""

import dataclasses
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from fastitpn.config import to_yaml
from fastitpn.console import say
from fastitpn.data.images.decode import read_image
from fastitpn.data.images.reading import reads_images
from fastitpn.data.images.transforms import classify_eval
from fastitpn.errors import InputError
from fastitpn.files import replacing
from fastitpn.models.acceleration.token_trace import TokenTrace
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.pictures import to_pictures
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Code, Facts, Picture, Section, Text
from fastitpn.reporting.token_pictures import count_left, token_picture
from fastitpn.reporting.values import Value, printable
from fastitpn.runs.acceleration import acceleration_figure
from fastitpn.runs.output import check_no_run, make_folder
from fastitpn.training.processes.devices import build_fabric
from fastitpn.training.progress import ProgressDisplay
from fastitpn.visualization.config import VisualizeTokensConfig
from fastitpn.visualization.drawings import REPORT, Drawings, find_images, free_place, shown_name, tell_skipped
from fastitpn.visualization.subject import Subject, load_accelerated_subject

KIND = "tokens"
_EXPLANATION = """\
Tokens that left are tinted, in one colour for each step; the blocks after that step compute only the others. Before
the pyramid, and before pooling, all are put back at their places. The next picture draws each token that left as the
one it was found to be most like, which speaks for it from then on: where that looks like the image, little was lost.

With windows, attention is within each of them in most blocks, and gathering tokens carry news from one to another. The
heat shows how the gathering tokens of a window share their attention among its tokens, mean over heads and over
windowed blocks, as a multiple of the window's mean. A token that left gets none from then on.
"""


@reads_images
def run_visualize_tokens(config: VisualizeTokensConfig) -> Drawings:
    """Draw a picture for each image, and write them and a page that shows them to `out`.

    In a folder, files that cannot be read are skipped and named.

    Raises:
        InputError: The checkpoint, the weights, the images or `out` do not fit, or there is nothing to show.
    """
    check_no_run(config.out, KIND)
    paths = find_images(config)
    device = build_fabric(config.device, precision="32-true").device
    subject = load_accelerated_subject(config)
    subject.model.to(device)
    make_folder(config.out)
    pictures: dict[Path, Path] = {}
    traces: list[TokenTrace] = []
    skipped: list[InputError] = []
    with ProgressDisplay("drawing", step=0, steps=len(paths)) as display:
        for number, path in enumerate(paths, start=1):
            try:
                image = read_image(path)
            except InputError as error:
                if config.images.is_file():
                    raise
                skipped.append(error)
            else:
                picture, trace = _draw(image, shown_name(path, config), subject, device)
                traces.append(trace)
                pictures[path] = free_place(config.out, shown_name(path, config), KIND, pictures)
                with replacing(pictures[path]) as file:
                    picture.save(file, "PNG")
            display.advance(number)
    tell_skipped(skipped, len(paths))
    report = _write_report(config, subject, traces[0], pictures, device)
    say(f"{len(pictures)} picture{'s' * (len(pictures) != 1)} in {config.out}, all on one page: {report}")
    return Drawings(report=report, pictures=tuple(pictures.values()))


def _draw(image: Image.Image, name: str, subject: Subject, device: torch.device) -> tuple[Image.Image, TokenTrace]:
    pixels = classify_eval(subject.px, mean=subject.mean, std=subject.std)(image).unsqueeze(0)
    trace = subject.model.trace_tokens(pixels.to(device))
    trace = dataclasses.replace(trace, **{name: v.cpu() for name, v in vars(trace).items() if isinstance(v, Tensor)})
    [seen] = to_pictures(pixels, subject.mean, subject.std)
    return token_picture(seen, trace, title=name, notes=subject.notes), trace


def _write_report(
    config: VisualizeTokensConfig,
    subject: Subject,
    trace: TokenTrace,
    pictures: dict[Path, Path],
    device: torch.device,
) -> Path:
    rows, columns = trace.grid
    summary: list[tuple[str, Value, str]] = [
        ("tokens", rows * columns, f"{rows} x {columns} at {subject.px} px"),
        *((f"left after block {block}", left, f"of {present}") for block, left, present in count_left(trace)),
        ("windows", f"{trace.windows[0]} x {trace.windows[1]}", subject.note_on_windows),
        ("model", subject.name.removeprefix("fastitpn_"), subject.weights),
        acceleration_figure(subject.model.acceleration),
    ]
    drawn: list[Section] = []
    for path, place in pictures.items():
        with Image.open(place) as picture:
            drawn.append(Picture(printable(shown_name(path, config)), picture.copy()))
    return write_report(
        config.out / REPORT,
        title="Tokens that leave, and what windows gather",
        summary=summary,
        sections=[
            Text("How to read the images", _EXPLANATION),
            *drawn,
            Code("Configuration", to_yaml(config)),
            Facts("Environment", describe_environment(device)),
        ],
    )
