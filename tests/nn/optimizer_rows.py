"""Each update rule, clipping and schedule in NumPy, written from its paper: what graphnn's are measured by.

A row takes the rule's constants and gives a function (t, w, g) -> new w, which keeps the rule's own slots. t counts the
updates from 1, as the papers do; w holds all parameters, one after another.
"""

import numpy as np


def sgd(lr):
    return lambda t, w, g: w - lr * g


def momentum(lr, mu):
    v = 0.0

    def update(t, w, g):
        nonlocal v
        v = mu * v - lr * g
        return w + v

    return update


def nesterov(lr, mu):
    v = 0.0

    def update(t, w, g):
        nonlocal v
        old, v = v, mu * v - lr * g
        return w - mu * old + (1 + mu) * v  # Sutskever et al. 2013 after the change of variables

    return update


def adagrad(lr, eps):
    s = 0.0

    def update(t, w, g):
        nonlocal s
        s = s + g * g
        return w - lr / (np.sqrt(s) + eps) * g

    return update


def rmsprop(lr, rho, eps):
    s = 0.0

    def update(t, w, g):
        nonlocal s
        s = rho * s + (1 - rho) * g * g
        return w - lr / (np.sqrt(s) + eps) * g

    return update


def adadelta(lr, rho, eps):
    s = d = 0.0

    def update(t, w, g):
        nonlocal s, d
        s = rho * s + (1 - rho) * g * g
        step = -np.sqrt(d + eps) / np.sqrt(s + eps) * g
        d = rho * d + (1 - rho) * step * step
        return w + lr * step

    return update


def adam(lr, beta1, beta2, eps):
    m = v = 0.0

    def update(t, w, g):
        nonlocal m, v
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        return w - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)

    return update


def adamax(lr, beta1, beta2, eps):
    m = u = 0.0

    def update(t, w, g):
        nonlocal m, u
        m = beta1 * m + (1 - beta1) * g
        u = np.maximum(beta2 * u, np.abs(g) + eps)
        return w - lr / (1 - beta1**t) * m / u

    return update


def nadam(lr, beta1, beta2, eps):
    m = v = 0.0

    def update(t, w, g):
        nonlocal m, v
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        ahead = beta1 * m / (1 - beta1 ** (t + 1)) + (1 - beta1) * g / (1 - beta1**t)
        return w - lr * ahead / (np.sqrt(v / (1 - beta2**t)) + eps)

    return update


def lion(lr, beta1, beta2):
    m = 0.0

    def update(t, w, g):
        nonlocal m
        direction = np.sign(beta1 * m + (1 - beta1) * g)
        m = beta2 * m + (1 - beta2) * g
        return w - lr * direction

    return update


def decayed(row, lr, decay, is_weight):
    """The row with decoupled decay: weights shrink by lr * decay beside the update, biases do not."""
    return lambda t, w, g: row(t, w, g) - lr * decay * np.where(is_weight, w, 0.0)


def clipped_by_value(row, limit):
    return lambda t, w, g: row(t, w, np.clip(g, -limit, limit))


def clipped_by_norm(row, limit):
    """Pascanu et al. 2013, algorithm 1."""

    def update(t, w, g):
        norm = np.linalg.norm(g)
        return row(t, w, limit / norm * g if norm >= limit else g)

    return update


def scheduled(make, schedule):
    """The row whose rate at update t = 1, 2, ... is schedule(t - 1); only for rows without slots."""
    return lambda t, w, g: make(schedule(t - 1))(t, w, g)


def constant(value):
    return lambda t: value


def step_decay(lr, drop, every):
    return lambda t: lr * drop ** (t // every)


def exponential_decay(lr, rate, every=1):
    return lambda t: lr * rate ** (t / every)


def cosine_decay(lr, steps, alpha=0.0):
    return lambda t: lr * alpha + lr * (1 - alpha) * 0.5 * (1 + np.cos(np.pi * min(t, steps) / steps))


def warm_up(schedule, steps):
    return lambda t: schedule(t) * (t + 1) / steps if t + 1 < steps else schedule(t)
