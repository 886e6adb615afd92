"""The verb `doctor` as a function, with the keys of the command line."""

import os
from typing import Any

from fastitpn.config import DoctorConfig, build
from fastitpn.diagnosis.doctor import Diagnosis, run_doctor


def doctor(data: str | os.PathLike[str], **keys: Any) -> Diagnosis:
    """Check a data set, and write what was found to `out`.

    Args:
        data: Folder or file, as for `pretrain` and `finetune`.
        **keys: As on the command line (`fastitpn doctor --help`): `val`, `task`, `similar`, `out`, ...

    Returns:
        What was found; `clean` says whether there is a problem.

    Raises:
        InputError: A key or the data is wrong, so that it cannot be checked.
    """
    return run_doctor(build(DoctorConfig, {"data": data, **keys}))
