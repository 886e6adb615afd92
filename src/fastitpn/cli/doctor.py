"""`fastitpn doctor`."""

from fastitpn.cli.verb import Verb
from fastitpn.config import DoctorConfig


def run(config: DoctorConfig) -> None:
    """Calls `run_doctor`, and ends with exit code 1 if there are problems."""
    from fastitpn.diagnosis.doctor import run_doctor, stop_at_problems

    stop_at_problems(run_doctor(config))


VERB = Verb(
    config=DoctorConfig,
    sentence="Check a data set for damaged, odd and duplicate images, wrong labels and leaks.",
    example="fastitpn doctor flowers",
    run=run,
)
