"""The rows of tests/oracles.py, by family."""
