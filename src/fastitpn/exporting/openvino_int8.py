"""int8 for OpenVINO, by NNCF: scales of weights and activations from images, with corrections of what that shifts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from fastitpn.exporting.attempts import Attempt
from fastitpn.exporting.quiet import quiet
from fastitpn.exporting.signal_stack import signal_stack_kept
from fastitpn.exporting.silent_openvino import import_nncf, import_openvino

_NO_OPERATIONS = ("Constant", "Parameter", "Result")


def quantise(exact: Path, path: Path, attempt: Attempt, images: Sequence[Tensor]) -> None:
    """Write the int8 form of a file in fp32.

    Args:
        exact: The file in fp32.
        path: The file to write.
        attempt: What is left out.
        images: Batches to calibrate on.
    """
    openvino, nncf = import_openvino(), import_nncf()
    model = openvino.Core().read_model(exact)
    operations = [each for each in model.get_ordered_ops() if each.get_type_name() not in _NO_OPERATIONS]
    kept = [name for name in (each.get_friendly_name() for each in operations) if attempt.keeps(name)]

    def quantised(types: Sequence[str]) -> Any:
        return nncf.quantize(
            openvino.Core().read_model(exact),
            nncf.Dataset([batch.numpy() for batch in images]),
            subset_size=len(images),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(names=kept, types=list(types), validate=False),
        )

    with signal_stack_kept(), quiet():
        try:
            result = quantised(())
        except nncf.InternalError:  # what a concatenation joins has signs here and none there: no scale is for all
            result = quantised(("Concat",))
    openvino.save_model(result, path, compress_to_fp16=False)
