"""A work as an ONNX file, its weights inside. Needs the package onnx, no framework.

python -m tests.benchmarks.peers.onnx_graph WORK FILE
"""

from __future__ import annotations

import sys
from math import prod
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

from tests.benchmarks.peers.server import Cannot
from tests.benchmarks.works import WORKS, Chain, Net, Work

OPSET = 20
ACTIVATIONS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}


def onnx_model(work: Work) -> ModelProto:
    """A graph from "x" to "result". Raises Cannot for steps and updates: these libraries run what others trained."""
    if work.kind in ("step", "epoch"):
        raise Cannot("inference only")
    if isinstance(work, Chain):
        if work.formula == "adam":
            raise Cannot("no update in place")
        shape = work.data()[0].shape
        node = helper.make_node(work.formula.capitalize(), ["x"], ["result"])
        return _model([node], [], shape, shape)
    nodes, constants = _layers(work)
    return _model(nodes, constants, (work.batch, *work.shape), (work.batch, work.classes))


def _layers(work: Net) -> tuple[list, list]:
    nodes, constants, weights, h = [], [], iter(work.weights()), "x"
    for n, (layer, before, _) in enumerate(work.extents()):
        sides = {"kernel_shape": [layer.window] * 2, "strides": [layer.stride] * 2, "pads": [layer.padding] * 4}
        if not layer.has_weights:
            nodes.append(helper.make_node("MaxPool" if layer.kind == "max" else "AveragePool", [h], [f"h{n}"], **sides))
            h = f"h{n}"
            continue
        for name, value in zip((f"w{n}", f"b{n}"), next(weights), strict=True):
            constants.append(numpy_helper.from_array(value, name))
        if layer.kind == "dense" and len(before) == 3:
            constants.append(numpy_helper.from_array(np.array([work.batch, prod(before)]), "flat"))
            nodes.append(helper.make_node("Reshape", [h, "flat"], ["flattened"]))
            h = "flattened"
        kind, attributes = ("Conv", sides) if layer.kind == "conv" else ("Gemm", {})
        last = n == len(work.layers) - 1
        nodes.append(helper.make_node(kind, [h, f"w{n}", f"b{n}"], ["result" if last else f"z{n}"], **attributes))
        if not last:
            nodes.append(helper.make_node(ACTIVATIONS[work.activation], [f"z{n}"], [f"h{n}"]))
            h = f"h{n}"
    return nodes, constants


def _model(nodes: list, constants: list, taken: tuple[int, ...], given: tuple[int, ...]) -> ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, taken)
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, given)
    graph = helper.make_graph(nodes, "work", [x], [result], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    checker.check_model(model)
    return model


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(onnx_model(WORKS[sys.argv[1]]).SerializeToString())
