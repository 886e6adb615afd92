"""The loggers by name; their packages are imported when they are asked for."""

from fastitpn.registry import Registry
from fastitpn.runs.loggers.base import MetricsLogger

LOGGERS = Registry[type[MetricsLogger]](
    "logger",
    {
        "csv": "fastitpn.runs.loggers.csv_log:CsvLog",
        "tensorboard": "fastitpn.runs.loggers.tensorboard_log:TensorBoardLog",
        "wandb": "fastitpn.runs.loggers.wandb_log:WandbLog",
        "mlflow": "fastitpn.runs.loggers.mlflow_log:MlflowLog",
    },
    extras={"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"},
)
"""What `logger=` accepts."""
