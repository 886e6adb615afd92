"""What all candidates have in common while they are measured."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

DTYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
"""Number format of matrix products, by precision."""

OUT_OF_MEMORY = "out of memory"
"""Why a candidate did not run."""

Forward = Callable[[], object]
"""One forward pass, timed as it is."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conditions:
    """Device, precision, compilation and threads."""

    device: str = "cpu"
    """Name of a device for `torch.device`."""
    precision: str = "32-true"
    """One of `DTYPES`."""
    compile: bool = False
    """With `torch.compile`."""
    threads: int | None = None
    """Threads of the processor; None leaves their number as it is."""

    @property
    def dtype(self) -> torch.dtype:
        """Number format of matrix products."""
        return DTYPES[self.precision]

    def forward(self, model: nn.Module, images: Tensor) -> Forward:
        """A pass to measure, of a model on the device."""
        run = entry_point(model)
        if self.compile:
            run = torch.compile(run, dynamic=False)

        def forward() -> object:
            with torch.inference_mode(), self._autocast():
                return run(images)

        return forward

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Keep the number of threads, and let as many models be compiled as there are, within."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads or before)
        try:
            with _many_compilations() if self.compile else contextlib.nullcontext():
                yield
        finally:
            torch.set_num_threads(before)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.precision == "32-true":
            return contextlib.nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=self.dtype)


def entry_point(model: nn.Module) -> Callable[[Tensor], Any]:
    """What is measured of a model: its logits; of ours the pyramid's maps, or a segmentation's map of classes."""
    if hasattr(model, "log_probabilities"):
        return model.log_probabilities  # type: ignore[return-value]
    run: Any = model if getattr(model, "pyramid", None) is None else model.pyramid_features
    return run


def _many_compilations() -> contextlib.AbstractContextManager[Any]:
    """All of our models run the same code, and beyond a limit PyTorch would quietly not compile it again."""
    import torch._dynamo.config as dynamo

    patch: contextlib.AbstractContextManager[Any] = dynamo.patch(recompile_limit=1000)
    return patch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of PyTorch says that memory did not suffice."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def weight_bytes(model: nn.Module) -> int:
    """Bytes of parameters and buffers."""
    return sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
