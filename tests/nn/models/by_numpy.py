"""Layers of the classic networks in NumPy, from their textbook definitions: windows as columns, then a product."""

import numpy as np


def windows(x, kernel, stride=1, padding=0):
    """(N, C, places, places, K, K) of x (N, C, H, W)."""
    around = ((padding, padding),) * 2 if isinstance(padding, int) else padding
    x = np.pad(x, ((0, 0), (0, 0), *around))
    return np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride]


def correlate(x, W, b, stride=1, padding=0, groups=1):
    """A convolutional layer, each group of output channels on its own input channels."""
    columns = windows(x, W.shape[-1], stride, padding)
    outputs = []
    for W_group, c_group in zip(np.split(W, groups), np.split(columns, groups, axis=1), strict=True):
        n, c, height, width, kernel, _ = c_group.shape
        matrix = c_group.transpose(0, 2, 3, 1, 4, 5).reshape(n * height * width, c * kernel * kernel)
        product = matrix @ W_group.reshape(len(W_group), -1).T
        outputs.append(product.reshape(n, height, width, len(W_group)).transpose(0, 3, 1, 2))
    return np.concatenate(outputs, axis=1) + b[:, None, None]


def max_pool(x, size, stride=None):
    return windows(x, size, stride or size).max((4, 5))


def avg_pool(x, size):
    return windows(x, size, size).mean((4, 5))


def response_norm(x, size=5, alpha=1e-4, beta=0.75, k=2.0):
    """Krizhevsky et al. 2012, section 3.3."""
    squares, sums = x * x, np.zeros_like(x)
    for channel in range(x.shape[1]):
        sums[:, channel] = squares[:, max(0, channel - size // 2) : channel + size // 2 + 1].sum(1)
    return x / (k + alpha * sums) ** beta


def relu(x):
    return np.maximum(x, 0)
