"""The same works in other libraries, each in a process and an environment of its own.

server.py       what every process does: build a work, then time slices of it when asked
process.py      the other end: a process, its questions and answers
*_peer.py       one library each; all but graphnn's import nothing of graphnn
onnx_graph.py   the works as ONNX files, for onnxruntime and OpenVINO
"""
