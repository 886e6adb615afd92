"""`fastitpn doctor` for every task."""

import dataclasses
from collections.abc import Iterator

from fastitpn.data.images.folders import left_out
from fastitpn.data.images.kinds import not_read
from fastitpn.data.images.reading import reads_images
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.diagnosis.doctor import FINDINGS, Diagnosis, check_dataset
from fastitpn.diagnosis.findings import DataSet, Finding
from fastitpn.diagnosis.own_files import check_own_files, form_of
from fastitpn.errors import InputError
from fastitpn.runs.output import check_no_run
from fastitpn.tasks.registry import TASKS


@reads_images
def run_doctor(config: DoctorConfig) -> Diagnosis:
    """Check a data set, print what is wrong, and write `findings.jsonl` and `report.html` to `out`.

    Of what this package wrote (a run, a checkpoint, an export, stored features) the files are checked, without a page.

    Raises:
        InputError: There is no data, or it cannot be told what it is, or `out` is the directory of a run.
    """
    check_no_run(config.out, "doctor")
    if form := form_of(config.data):
        problems = tuple(check_own_files(config.data, form, config.out, FINDINGS))
        return Diagnosis(form=form, images={}, counts={}, problems=problems, notes=())
    return check_dataset(config, open_dataset(config))


def open_dataset(config: DoctorConfig) -> DataSet:
    """What a data set holds, told by the task that it is for, or by the most particular one that knows it.

    Raises:
        InputError: There is no data, or it is of another form than was asked for.
    """
    if not config.data.exists():
        raise InputError(
            "there is no such file or folder", where=config.data, expected="a data set", fix="check the path"
        )
    if config.task is not None and config.task not in TASKS:
        raise TASKS.unknown(config.task, where="task")
    specs = [TASKS.spec(name) for name in ([config.task] if config.task else TASKS)]
    for spec in sorted(specs, key=lambda spec: -spec.particularity):
        data: DataSet | None = spec.diagnose(config)
        if data is not None:
            return dataclasses.replace(data, findings=[*data.findings, *_left_out(config)])
    raise InputError(
        "this is no data of that task", where=config.data, expected="data as for its training", fix="leave task out"
    )


def _left_out(config: DoctorConfig) -> Iterator[Finding]:
    """Notes on files that no training would read."""
    left = left_out(config.data, config.val)
    for line in not_read(left.suffixes):
        yield Finding(kind="images that are not read", what=line, problem=False)
    for name, count in left.debris.items():
        yield Finding(kind="folder of a file system", what=f"{count} {name}: left out", problem=False)
