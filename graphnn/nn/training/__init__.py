"""Trainer and what belongs to it: batches, callbacks, history, checkpoints, penalties and metrics."""
