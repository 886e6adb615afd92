"""A task as the loop knows it."""

import pytest
from torch import nn

from fastitpn.training.task import Task


def test_a_task_without_a_definition_says_so():
    task = Task()
    for call in (lambda: task({}), lambda: task.evaluate([], nn.Identity()), task.describe):
        with pytest.raises(NotImplementedError):
            call()
    task.after_step(1.0)
    assert task.extra_state() == {}
    task.load_extra_state({})
