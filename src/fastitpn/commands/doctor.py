"""`fastitpn doctor`: what is wrong with a data set, before a training finds out."""

import os
from typing import TYPE_CHECKING, Any

from fastitpn.commands.verb import Verb
from fastitpn.config import build
from fastitpn.diagnosis.config import DoctorConfig

if TYPE_CHECKING:
    from fastitpn.diagnosis.doctor import Diagnosis

VERB = Verb(
    config=DoctorConfig,
    sentence="Check a data set for damaged, odd and duplicate images, wrong labels and leaks.",
    example="fastitpn doctor flowers",
    run="fastitpn.commands.doctor:run",
)


def doctor(data: str | os.PathLike[str], **keys: Any) -> "Diagnosis":
    """Check a data set, and write what was found to `out`.

    Args:
        data: Folder or file, as for `pretrain` and `finetune`.
        **keys: As on the command line (`fastitpn doctor --help`): `val`, `task`, `similar`, `out`, ...

    Returns:
        Findings; `clean` says whether there is a problem.

    Raises:
        InputError: A key or the data is wrong, so that it cannot be checked.
    """
    from fastitpn.tasks.diagnosing import run_doctor

    return run_doctor(build(DoctorConfig, {"data": data, **keys}))


def run(config: DoctorConfig) -> "Diagnosis":
    """Check a data set; on the command line problems end with exit code 1."""
    from fastitpn.diagnosis.doctor import stop_at_problems
    from fastitpn.tasks.diagnosing import run_doctor

    diagnosis = run_doctor(config)
    stop_at_problems(diagnosis)
    return diagnosis
