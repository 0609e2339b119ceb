"""The same training steps in other libraries, each in a process and an environment of its own.

    python -m tests.benchmarks.peers --python torch=/path/to/python --python jax=... [--works lenet64] [--threads 1]

server.py       what every process does: build the step, then time slices of it when asked
works.py        the works as plain numbers, that every library builds its network from
*_peer.py       one library each; they import nothing of graphnn
__main__.py     asks all processes in turns and prints medians and ratios
"""
