"""The public API, for type checkers; at run time each name is imported from here when it is first used."""

from .commands.accelerate import accelerate as accelerate
from .commands.app import app as app
from .commands.benchmark import benchmark as benchmark
from .commands.data import convert_data as convert_data
from .commands.data import shard_data as shard_data
from .commands.demo import demo as demo
from .commands.doctor import doctor as doctor
from .commands.evaluate import evaluate as evaluate
from .commands.export import export as export
from .commands.finetune import finetune as finetune
from .commands.inspect import inspect as inspect
from .commands.predict import predict as predict
from .commands.pretrain import cache_features as cache_features
from .commands.pretrain import pretrain as pretrain
from .commands.recipes import recipes as recipes
from .commands.report import report as report
from .commands.visualize import visualize as visualize
from .commands.weights import weights as weights
from .errors import FastITPNError as FastITPNError
from .errors import InputError as InputError
from .models.acceleration.gathering import Gathering as Gathering
from .models.acceleration.migration import Migration as Migration
from .models.acceleration.settings import Acceleration as Acceleration
from .models.experts import add_experts as add_experts
from .models.registry import create_model as create_model
from .models.taps import Taps as Taps
from .models.tokens import foreground_shares as foreground_shares
from .models.tokens import gather_tokens as gather_tokens
from .models.tokens import scatter_tokens as scatter_tokens
from .models.weights.file import read_weights as read_weights
from .models.weights.loading import load_weights as load_weights
from .models.weights.official_names import to_official_names as to_official_names
from .models.weights.report import LoadReport as LoadReport
from .pretraining.model import create_pretraining_model as create_pretraining_model
from .pretraining.pixel_model import create_pixel_model as create_pixel_model
from .runs.run import Run as Run
from .tasks.classify.predictor import Predictor as Predictor
from .tasks.detect.predictor import DetectPredictor as DetectPredictor
from .tasks.predicting import load as load
from .tasks.segment.predictor import SegmentPredictor as SegmentPredictor

__version__: str
