"""OpenVINO's side, float32, latency first, arrays shared: python -m tests.benchmarks.peers.openvino_peer THREADS"""

from __future__ import annotations

import sys

import openvino

from tests.benchmarks.peers.onnx_graph import onnx_model
from tests.benchmarks.peers.server import Built, compiling, serve
from tests.benchmarks.works import Work


def build(work: Work) -> Built:
    x, model = work.data()[0], onnx_model(work).SerializeToString()
    options = {
        "INFERENCE_NUM_THREADS": int(sys.argv[1]),
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiling.start()
    core = openvino.Core()
    request = core.compile_model(core.read_model(model), "CPU", options).create_infer_request()
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))
    kept = x, model, request  # what was read and the tensor know addresses only
    return lambda: kept[-1].infer(share_outputs=True)[0]


if __name__ == "__main__":
    serve(build)
