"""OpenVINO, without the package that sends what people do with it.

It imports `openvino_telemetry`, which makes files in the home folder and reports every import and conversion. It runs
without: a name that cannot be imported makes it take its own stub. Nothing else imports OpenVINO.
"""

import sys
from types import ModuleType

from fastitpn.errors import InputError

_TELEMETRY = "openvino_telemetry"


def import_openvino() -> ModuleType:
    """The package `openvino`.

    Raises:
        InputError: It is not installed.
    """
    _switch_off()
    try:
        import openvino
    except ImportError as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) and error.name else "openvino"
        raise InputError(
            f"the package {missing} is not installed",
            where="format",
            expected="openvino",
            fix="pip install 'fastitpn[openvino]'",
        ) from None
    return openvino


def _switch_off() -> None:
    """For this process alone: neither the environment nor the home folder is touched.

    Where a program of the user imported OpenVINO before, its telemetry is there; of ours nothing goes through it, for
    only conversions and imports report, and none of either is left to be done.
    """
    if sys.modules.get(_TELEMETRY) is None:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # `import` then says that there is no such package
