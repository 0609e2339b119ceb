"""Optimizers: update rules as formulas, schedules of the learning rate, clipping."""
