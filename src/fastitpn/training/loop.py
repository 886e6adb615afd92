"""The loop: steps, what happens between them, and how a run ends."""

import dataclasses
import logging
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from fastitpn.console import note
from fastitpn.errors import TrainingError
from fastitpn.runs.run_directory import RunDirectory
from fastitpn.training import guard
from fastitpn.training.early_stopping import validations_without_better
from fastitpn.training.estimate import SlowRunWarning
from fastitpn.training.interrupt import Stopped, StopRequest
from fastitpn.training.loading import MicroBatches, worker_errors
from fastitpn.training.log_line import line_of, shortened
from fastitpn.training.memory import peak_memory_mib
from fastitpn.training.metric import Metric, describe_metric
from fastitpn.training.optimizer import set_learning_rate
from fastitpn.training.processes.fully_sharded import whole
from fastitpn.training.progress import ProgressDisplay
from fastitpn.training.same_run import check_same_data, check_same_model
from fastitpn.training.sampler import StepSampler
from fastitpn.training.schedule import learning_rate
from fastitpn.training.seeding import seed_step
from fastitpn.training.settings import FitSettings
from fastitpn.training.state import TrainingState
from fastitpn.training.task import Batch, Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric

logger = logging.getLogger(__name__)

Evaluate = Callable[[nn.Module], Mapping[str, float]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Watch:
    """Something that looks at the model while it learns, in the first process.

    Attributes:
        steps: Steps after which it looks.
        look: Takes the step and the model, on its device; it must leave its weights as they are.
    """

    steps: Collection[int]
    look: Callable[[int, nn.Module], None]


def fit(
    task: Task,
    *,
    fabric: "Fabric",
    settings: FitSettings,
    make_loader: Callable[[int], DataLoader[Any]],
    evaluate: Evaluate | None = None,
    watch: Watch | None = None,
    run: RunDirectory,
) -> None:
    """Trains, or goes on with a run that was interrupted, to the same weights bit by bit as if it had not been.

    Args:
        task: With the weights to start from.
        fabric: Launched, see `build_fabric`.
        settings: How long it trains and how fast, what it logs, evaluates and keeps.
        make_loader: Makes the loader of the run's batches from a given step on; its batch sampler is a `StepSampler`.
        evaluate: Gives the metrics of a model that is in eval mode on its device, without gradients and in the run's
            precision. It is called on every process; the figures of the first one count.
        watch: Looks at the model now and then.
        run: Where everything is written.

    Raises:
        InputError: The data is wrong, the disk is full, or the run was begun with other data.
        TrainingError: Losses stay non-finite, or a data worker died.
        KeyboardInterrupt: The run was asked to stop (SIGINT, SIGTERM); what was done is in `last.ckpt`. After
            `max_minutes` it returns, and `run.complete` is False.
    """
    if run.complete:
        logger.info("%s is complete already", run.directory)
        return
    state = TrainingState(task, fabric, settings)
    content = run.resume()
    if content is not None:
        check_same_model(content["training"]["weights"], task.trained_model)
        state.restore(content)
    run.keep_checkpoints = settings.keep_checkpoints
    run.log_to(settings.loggers, state.step)
    with StopRequest() as stop, worker_errors():
        _Fit(state, fabric, settings, evaluate, watch, run, stop).run_all(make_loader, resumed=content)


class _Fit:
    def __init__(
        self,
        state: TrainingState,
        fabric: "Fabric",
        settings: FitSettings,
        evaluate: Evaluate | None,
        watch: Watch | None,
        run: RunDirectory,
        stop: StopRequest,
    ):
        self.state, self.fabric, self.settings = state, fabric, settings
        self.evaluate, self.watch, self.run, self.stop = evaluate, watch, run, stop
        self.alone = fabric.world_size == 1
        self.started, self.time_is_up = time.monotonic(), False

    def run_all(self, make_loader: Callable[[int], DataLoader[Any]], resumed: Mapping[str, Any] | None) -> None:
        """From the first step, or the one to resume from, to the end."""
        state, steps = self.state, self.settings.steps
        loader = make_loader(state.step)
        self.sampler = _sampler_of(loader)
        if resumed is not None:
            check_same_data(resumed["training"]["data"], self._data())
        epochs = self.sampler.epoch_at(steps)
        if self.fabric.is_global_zero:
            note(f"{'begins' if resumed is None else 'goes on'} at step {state.step} of {steps}")
        title = self.run.verb or "training"
        display = ProgressDisplay(
            title, step=state.step, steps=steps, epochs=epochs, enabled=self.fabric.is_global_zero
        )
        self.slow = SlowRunWarning(
            steps=steps - state.step, epochs=epochs - self.sampler.epoch_at(state.step), faster=self.settings.faster
        )
        with closing(MicroBatches(loader, self.settings.accumulate)) as batches, display as self.display:
            try:
                if self._evaluate_if_due():
                    self._save_if_due()  # as an unbroken run does after its evaluation
                self._steps(batches)
            except Stopped:
                self._stopped()
            else:
                self._finish()

    def _steps(self, batches: MicroBatches) -> None:
        state, settings = self.state, self.settings
        state.task.train()
        while state.step < settings.steps and not self._out_of_patience():
            started = time.perf_counter()
            with self.stop.at_once(self.alone):
                step_batches = next(batches, None)
            waited = time.perf_counter() - started
            if step_batches is None:
                raise TrainingError(f"the data ended at step {state.step} of {settings.steps}")
            stopping = self._step(step_batches)
            state.step += 1
            images = sum(len(batch["index"]) for batch in step_batches) * self.fabric.world_size
            state.meter.add_time(images=images, seconds=time.perf_counter() - started, waited=waited)
            self._log_if_due()
            warning = self.slow.step_done()
            if warning is not None and self.fabric.device.type == "cpu" and self.fabric.is_global_zero:
                logger.warning(warning)
            if self.watch is not None and state.step in self.watch.steps:
                model = state.model_to_watch()
                if self.fabric.is_global_zero:
                    self.watch.look(state.step, model)
            if stopping:
                raise Stopped
            self._evaluate_if_due()
            self._save_if_due()

    def _step(self, batches: list[Batch]) -> bool:
        """One optimiser step, or none if its loss or gradient is not finite.

        Returns:
            Whether some process was asked to stop.
        """
        state, settings, fabric = self.state, self.settings, self.fabric
        seed_step(settings.seed, state.step, fabric.global_rank)
        set_learning_rate(state.optimizer, self._learning_rate(state.step))
        buffers = [(buffer, buffer.clone()) for buffer in state.task.trained_model.buffers()]
        losses = self._backward(batches)
        norm = fabric.clip_gradients(
            state.model,
            state.wrapped_optimizer,
            max_norm=settings.clip_grad if settings.clip_grad is not None else float("inf"),
            error_if_nonfinite=False,
        )
        assert norm is not None
        norm = whole(norm)
        figures, stopping = self._over_processes({**losses, "gradient_norm": norm})
        reason = guard.non_finite(figures)
        if reason is None:
            self._update(figures)
        else:
            for buffer, before in buffers:  # running statistics that the batch may have spoilt
                buffer.copy_(before)
            if state.scaler is not None:
                state.scaler.update()
        state.optimizer.zero_grad(set_to_none=True)
        if reason is not None:
            self._skipped(reason, batches)
        return stopping

    def _backward(self, batches: list[Batch]) -> dict[str, Tensor]:
        """Gradients of the mean over the micro-batches, whose losses are returned as means."""
        totals: dict[str, Tensor] = {}
        for position, batch in enumerate(batches, start=1):
            with self.fabric.no_backward_sync(self.state.model, enabled=position < len(batches)):
                losses = self.state.model(self.fabric.to_device(batch))
                self.fabric.backward(losses["loss"] / len(batches))
            for name, loss in losses.items():
                totals[name] = totals.get(name, 0) + loss.detach().float() / len(batches)
        return totals

    def _over_processes(self, figures: Mapping[str, Tensor]) -> tuple[dict[str, float], bool]:
        """Means over the processes, in one exchange; a figure that is not finite in one of them is so in all."""
        asked = torch.tensor((self.stop.requested, self._time_is_up()), dtype=torch.float, device=self.fabric.device)
        values = torch.cat([torch.stack([value.float() for value in figures.values()]), asked])
        *means, stops, times = cast(Tensor, self.fabric.all_reduce(values, reduce_op="mean")).tolist()
        self.time_is_up = times > 0
        return dict(zip(figures, means, strict=True)), stops > 0 or times > 0

    def _update(self, figures: Mapping[str, float]) -> None:
        state = self.state
        state.wrapped_optimizer.step()
        with torch.no_grad():
            if state.ema is not None:
                state.ema.update(state.task.trained_model, step=state.step + 1)
            state.task.after_step((state.step + 1) / self.settings.steps)
        state.meter.add(figures)
        state.skipped_in_a_row = 0

    def _skipped(self, reason: str, batches: list[Batch]) -> None:
        state, step = self.state, self.state.step + 1
        index = self.fabric.to_device(torch.cat([batch["index"] for batch in batches]))
        with warnings.catch_warnings():
            # Lightning's gather is built on what newer versions of torch call deprecated.
            warnings.filterwarnings("ignore", "torch.distributed.nn.functional", FutureWarning)
            indices = cast(Tensor, self.fabric.all_gather(index)).flatten().tolist()
        logger.warning("step %s was skipped: %s; samples %s", step, reason, shortened(indices))
        self.run.log_row({**self._row("skipped", step), "reason": reason, "indices": indices})
        state.skipped_in_a_row += 1
        if state.skipped_in_a_row >= guard.LIMIT:
            raise guard.too_many(step, reason)

    def _log_if_due(self) -> None:
        state = self.state
        self.display.advance(state.step)
        if self.settings.due(self.settings.log_every, state.step):
            figures = {**state.meter.take(), "lr": self._learning_rate(state.step - 1)}
            memory = peak_memory_mib(self.fabric.device)
            if memory is not None:
                figures["memory_mib"] = round(memory)
            self.run.log_row({**self._row("train", state.step), **figures})
            line = line_of(figures)
            self.display.show(state.step, line)
            logger.info("step %s  %s", state.step, line)
            warning = state.task.warning(figures)
            if warning is not None and self.fabric.is_global_zero:
                logger.warning("step %s: %s", state.step, warning)

    def _evaluate_if_due(self) -> bool:
        """Also right after resuming, if the run was stopped between a step and its evaluation.

        Returns:
            Whether it was.
        """
        state, settings = self.state, self.settings
        due = state.step > 0 and settings.due(settings.evaluate_every, state.step)
        if self.evaluate is None or not due or state.evaluated_at == state.step:
            return False
        self._measure(self.evaluate)
        state.evaluated_at = state.step
        self.run.log_row({**self._row("val", state.step), **state.metrics})
        self._keep_if_best()
        return True

    def _measure(self, evaluate: Evaluate) -> None:
        """Sets the metrics of the model as it is, and says them."""
        state = self.state
        model = state.model_to_evaluate()
        state.task.eval()
        with self.stop.at_once(self.alone), torch.no_grad(), self.fabric.autocast():
            metrics = {name: float(value) for name, value in evaluate(model).items()}
        state.task.train()
        state.metrics = self.fabric.broadcast(metrics)
        line = "  ".join(f"{name} {self._metric(name).show(value)}" for name, value in state.metrics.items())
        self.display.say(f"evaluation after step {state.step}: {line}")
        logger.info("evaluation after step %s: %s", state.step, line)

    def _keep_if_best(self) -> None:
        state, metric = self.state, self.settings.best_metric
        if metric is None:
            return
        if metric.name not in state.metrics:
            measured = ", ".join(state.metrics)
            raise ValueError(f"best_metric {metric.name!r} is none of the evaluation's metrics: {measured}")
        value = state.metrics[metric.name]
        as_good = state.best is None or metric.as_good(value, state.best)
        if as_good and value == value:  # nan is never best; of equals the later one, which has learnt more
            state.best, state.best_step = value, state.step
            self._save_best()

    def _save_best(self) -> None:
        content = self.state.content_for_use(keep=self.run.is_writer)
        self.run.save_best({**content, "config": self.run.config})

    def _save_if_due(self) -> None:
        if self.settings.due(self.settings.checkpoint_every, self.state.step):
            self._save_last()

    def _save_last(self) -> None:
        content = {**self.state.content_to_resume(keep=self.run.is_writer), "config": self.run.config}
        content["training"]["data"] = self._data()
        self.run.save_last(content)

    def _out_of_patience(self) -> bool:
        """Whether the run ends early, after the validation of this step; then it is saved."""
        state, patience, metric = self.state, self.settings.patience, self.settings.best_metric
        if patience is None or metric is None or state.evaluated_at != state.step:
            return False
        if self.fabric.broadcast(validations_without_better(self.run.history, metric)) < patience:
            return False
        self._save_last()
        line = f"ended early, after step {state.step} of {self.settings.steps}: "
        line += f"no better {metric.label} in {patience} validation{'s' * (patience > 1)} (patience={patience})"
        self.display.say(line)
        logger.info(line)
        return True

    def _time_is_up(self) -> bool:
        """Whether the step that is being done is the last one of this command, but not of the run."""
        limit = self.settings.max_minutes
        is_last = self.state.step + 1 == self.settings.steps
        return limit is not None and not is_last and time.monotonic() - self.started > 60 * limit

    def _stopped(self) -> None:
        self._save_last()
        done = f"stopped after step {self.state.step} of {self.settings.steps}, which is saved"
        if self.time_is_up:
            done += f" (max_minutes={self.settings.max_minutes:g})"
        self.display.say(f"{done}; continue with:\n  {self.run.continue_command}")
        logger.info(done)
        if not self.time_is_up:
            raise KeyboardInterrupt from None
        if self.evaluate is not None and self.settings.best_metric is not None:
            # Only now, and in no log, so that the run goes on as if it had never stopped.
            self._measure(self.evaluate)
            if self.fabric.broadcast(self.run.best_checkpoint is None):
                self._save_best()

    def _finish(self) -> None:
        state = self.state
        if self.fabric.broadcast(self.run.best_checkpoint is None):  # what the first process sees counts
            self._save_best()
        rows = [row for row in self.run.history if row.get("split") == "train"]
        metrics: dict[str, Any] = {"train_loss": rows[-1].get("loss")} if rows else {}
        metrics |= state.metrics
        if state.best is not None:
            assert self.settings.best_metric is not None
            metrics |= {f"best_{self.settings.best_metric.name}": state.best, "best_step": state.best_step}
        self.run.finish(metrics)
        logger.info("complete after %s steps", state.step)

    def _metric(self, name: str) -> Metric:
        return describe_metric(name, self.settings.metrics)

    def _learning_rate(self, step: int) -> float:
        s = self.settings
        return learning_rate(
            step,
            steps=s.steps,
            lr=s.lr,
            min_lr=s.min_lr,
            warmup_steps=s.warmup_steps,
            schedule=s.schedule,
            milestones=s.milestones,
        )

    def _row(self, split: str, step: int) -> dict[str, Any]:
        return {"step": step, "epoch": round(self.sampler.epoch_at(step), 4), "split": split}

    def _data(self) -> dict[str, int]:
        """What the order of the samples depends on, beside the seed."""
        return {"samples": self.sampler.num_samples, "samples a step": self.sampler.global_batch}


def _sampler_of(loader: DataLoader[Any]) -> StepSampler:
    if not isinstance(loader.batch_sampler, StepSampler):
        raise TypeError("the loader of a run needs a StepSampler as its batch_sampler")
    return loader.batch_sampler
