"""OpenVINO and NNCF, without the package that sends what people do with them.

They import `openvino_telemetry`, which makes files in the home folder and reports every import and conversion. They run
without: a name that cannot be imported makes them take their own stubs. Nothing else imports OpenVINO or NNCF.
"""

import logging
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
        raise _not_installed(error, "openvino", "format") from None
    return openvino


def import_nncf() -> ModuleType:
    """The package `nncf`, which quantises for OpenVINO.

    Raises:
        InputError: It is not installed.
    """
    import_openvino()
    try:
        import nncf
    except ImportError as error:
        raise _not_installed(error, "nncf", "precision") from None
    nncf.set_log_level(logging.ERROR)
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it imports this, and needs no CUDA of it
    return nncf


def _not_installed(error: ImportError, package: str, key: str) -> InputError:
    missing = error.name if isinstance(error, ModuleNotFoundError) and error.name else package
    return InputError(
        f"the package {missing} is not installed",
        where=key,
        expected=package,
        fix="pip install 'fastitpn[openvino]'",
    )


def _switch_off() -> None:
    """For this process alone: neither the environment nor the home folder is touched.

    Where a program of the user imported OpenVINO before, its telemetry is there; of ours nothing goes through it, for
    only conversions and imports report, and none of either is left to be done.
    """
    if sys.modules.get(_TELEMETRY) is None:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # `import` then says that there is no such package
