"""OpenVINO and NNCF, without the package that sends what people do with them.

Both import `openvino_telemetry`, which makes files in the home folder and reports every import and conversion. They run
without it: a name that cannot be imported makes them take their own stubs. Nothing else imports either package.
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
        raise _absent("openvino", error) from None
    return openvino


def import_nncf() -> ModuleType:
    """The package `nncf`.

    Raises:
        InputError: It is not installed.
    """
    _switch_off()
    try:
        import nncf
    except ImportError as error:
        raise _absent("nncf", error) from None
    module: ModuleType = nncf
    return module


def _switch_off() -> None:
    """For this process alone: neither the environment nor the home folder is touched.

    Where a program of the user imported OpenVINO before, its telemetry is there; of ours nothing goes through it, for
    only conversions and imports report, and none of either is left to be done.
    """
    if sys.modules.get(_TELEMETRY) is None:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # `import` then says that there is no such package


def _absent(package: str, error: ImportError) -> InputError:
    missing = error.name if isinstance(error, ModuleNotFoundError) and error.name else package
    return InputError(
        f"the package {missing} is not installed",
        where="format",
        expected="openvino" if package == "openvino" else f"openvino and {package}",
        fix="pip install 'fastitpn[openvino]'",
    )
