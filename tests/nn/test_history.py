"""History as data and as a picture; callbacks."""

import json

import numpy as np
import pytest

from graphnn.errors import GraphError
from graphnn.nn.training.callbacks import EarlyStopping
from graphnn.nn.training.history import History


def recorded():
    history = History()
    history.record(1.0, {"val_loss": 1.5, "accuracy": 0.25})
    history.record(0.5, {"val_loss": 1.25, "accuracy": 0.75})
    history.steps.put(0, np.array([1.25, 0.75, 0.25]))
    history.steps.put(2, np.array([0.5]))
    return history


def test_a_history_survives_json():
    history = recorded()
    assert history.epochs == 2
    assert history.last() == {"loss": 0.5, "val_loss": 1.25, "accuracy": 0.75}
    assert History.from_dict(json.loads(json.dumps(history.to_dict()))) == history


def test_losses_of_steps_are_a_list_in_few_bytes():
    steps = recorded().steps
    assert steps == [1.25, 0.75, 0.5]
    assert steps != [1.25, 0.75]
    assert steps != [1.25, 0.75, 0.25]
    assert steps != "abc"
    assert (len(steps), steps[-1], steps[1:], repr(steps)) == (3, 0.5, [0.75, 0.5], "[1.25, 0.75, 0.5]")
    assert [type(loss) for loss in steps] == [float] * 3
    assert np.asarray(steps).dtype == np.float64
    np.testing.assert_array_equal(np.asarray(steps, np.float32), [1.25, 0.75, 0.5])
    with pytest.raises(IndexError):
        steps[3]


@pytest.mark.parametrize(
    "data",
    [
        None,
        {"loss": []},
        {"loss": "x", "val_loss": [], "metrics": {}},
        {"loss": [1.0], "val_loss": [], "metrics": {"a": [1.0, 2.0]}},
        {"loss": [1.0], "val_loss": [], "metrics": {"a": ["1"]}},
        {"loss": [1.0], "val_loss": [], "metrics": [1]},
        {"loss": [1.0], "val_loss": [], "metrics": {}, "steps": ["1"]},
        {"loss": [1.0], "val_loss": [], "metrics": {}, "others": []},
    ],
)
def test_what_is_no_history_is_refused(data):
    with pytest.raises(GraphError):
        History.from_dict(data)


def test_the_plot_shows_losses_and_metrics(tmp_path):
    figure = recorded().plot(tmp_path / "history.png")
    loss, metric = figure.axes
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    assert list(loss.lines[1].get_ydata()) == [1.5, 1.25]
    assert [line.get_label() for line in metric.lines] == ["accuracy"]
    assert (loss.get_xlabel(), loss.get_ylabel()) == ("epoch", "loss")
    assert (tmp_path / "history.png").read_bytes()[:4] == b"\x89PNG"
    assert len(History([1.0]).plot().axes) == 1
    assert len(History().plot().axes) == 1


def test_before_the_first_epoch_the_plot_is_by_step():
    (loss,) = History(steps=[3.0, 2.0, 1.5]).plot().axes
    assert loss.get_xlabel() == "step"
    assert list(loss.lines[0].get_ydata()) == [3.0, 2.0, 1.5]


def test_early_stopping_refuses_nonsense():
    with pytest.raises(GraphError, match="mode"):
        EarlyStopping(mode="less")
    with pytest.raises(GraphError, match="patience"):
        EarlyStopping(patience=0)
