"""int8 for OpenVINO, by NNCF: scales of weights and activations from images, with corrections of what that shifts."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from fastitpn.exporting.attempts import Attempt
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
    with signal_stack_kept(), contextlib.redirect_stdout(io.StringIO()):  # bars of its own
        quantised = nncf.quantize(
            model,
            nncf.Dataset([batch.numpy() for batch in images]),
            subset_size=len(images),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(names=kept, validate=False) if kept else None,
        )
    openvino.save_model(quantised, path, compress_to_fp16=False)
