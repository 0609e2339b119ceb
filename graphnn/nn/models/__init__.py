"""gn.models: the classic networks, each a function that declares it."""

from graphnn.nn.models.alexnet import alexnet
from graphnn.nn.models.lenet import lenet5
from graphnn.nn.models.linear import (
    edge_features,
    linear_regression,
    linear_svm,
    one_against_rest,
    softmax_regression,
)
from graphnn.nn.models.mlp import mlp
from graphnn.nn.models.neuron import perceptron, rosenblatt, sigmoid_neuron
from graphnn.nn.models.segmenter import fully_convolutional
from graphnn.nn.models.sequence import recurrent, transformer_block
from graphnn.nn.models.small_cnn import small_cnn

__all__ = [
    "alexnet",
    "edge_features",
    "fully_convolutional",
    "lenet5",
    "linear_regression",
    "linear_svm",
    "mlp",
    "one_against_rest",
    "perceptron",
    "recurrent",
    "rosenblatt",
    "sigmoid_neuron",
    "small_cnn",
    "softmax_regression",
    "transformer_block",
]
