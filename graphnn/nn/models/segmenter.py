"""A classifier of images made fully convolutional: scores at every place of larger images, by the same parameters.

J. Long, E. Shelhamer, T. Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015, section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from graphnn.declare.network import Network, Tensor
from graphnn.declare.op import Op
from graphnn.declare.registry import find_op
from graphnn.errors import GraphError, GraphnnError, ShapeError
from graphnn.ops.arguments import check_tensors
from graphnn.ops.convolution import correlate
from graphnn.ops.layout import reshape, transpose
from graphnn.ops.padding import pad
from graphnn.ops.resize import upsample

WINDOWED = ("correlate", "convolve", "max_pool", "avg_pool")


def fully_convolutional(
    images: Tensor, logits: Tensor, border: str = "reflect", mode: str = "bilinear", name: str = "segmenter"
) -> Tensor:
    """Scores (N, classes, H, W) of the pixels of `images` (N, C, H, W), by the classifier of smaller images `logits`.

    `logits` (N, classes) is made of one input of images (N, C, h, w) by correlations, pools, pointwise ops, one reshape
    to vectors and dense layers after it. A dense layer is a correlation with the window that was made a vector: its W,
    reshaped, is the kernel. All parameters are the classifier's own, so what trains one trains both; dropout is left
    out. Node {name}.scores holds the classifier's logits for windows of h x w pixels, s apart, s being the product of
    all strides; `upsample` makes s x s pixels of each. `images` are padded in the mode `border` by h - s rows and w - s
    columns, so that windows are centred on those squares. Where s does not divide H or W, the pixels behind the last
    square have no score and the result is that much smaller.

    Raises ShapeError where images have other channels, extents that are no ints or less than s; GraphError where
    `logits` depends on no or several inputs, or holds an op that is none of these. An error leaves the network as it
    was.
    """
    check_tensors("fully_convolutional", images, logits)
    window = _classified(logits)
    extents = images.shape[2:]
    strides = _strides(logits, window)
    whole = images.ndim == 4 and all(isinstance(e, int) and e >= s for e, s in zip(extents, strides, strict=True))
    if not whole or images.shape[1] != window.shape[1]:
        raise ShapeError(
            f"fully_convolutional: images are (N, {window.shape[1]}, H, W) with ints of at least {strides}, "
            f"'{images.name}' has shape {images.shape}"
        )
    if images.network is not logits.network or images.dtype != window.dtype:
        raise GraphError(
            f"fully_convolutional: '{images.name}' is no {window.dtype} Tensor of the network of the logits"
        )
    around = [(int(e) - s, s) for e, s in zip(window.shape[2:], strides, strict=True)]
    amounts = [(0, 0), (0, 0), *((max(0, over) // 2, (max(0, over) + 1) // 2) for over, _ in around)]
    with images.network.composing("fully_convolutional", name) as final:
        padded = pad(images, amounts, border, name=f"{final}.padded")
        scores = _Convolutional(window, padded, final).of(logits, f"{final}.scores")
        return upsample(scores, strides, mode, name=final)


def _classified(logits: Tensor) -> Tensor:
    """The input of images that the logits are made of."""
    reached = [t for t in logits.network.ancestors([logits]) if t.kind == "input"]
    if len(reached) != 1 or reached[0].ndim != 4 or logits.ndim != 2:
        raise GraphError(
            f"fully_convolutional: the logits '{logits.name}' {logits.shape} are (N, classes), made of one input "
            f"(N, C, h, w); theirs are {', '.join(f'{t.name!r} {t.shape}' for t in reached) or 'none'}"
        )
    return reached[0]


def _strides(node: Tensor, window: Tensor) -> tuple[int, ...]:
    """How far windows of neighbouring scores are apart, along each spatial axis."""
    product = (1, 1)
    while node != window:
        data = node.network.made.nodes[node.name]
        if data["op"] in WINDOWED:
            product = cast(
                tuple[int, int], tuple(p * s for p, s in zip(product, data["attributes"]["stride"], strict=True))
            )
        node = next(o for o in _branch(node) if window in node.network.ancestors([o]))
    return product


def _branch(node: Tensor) -> tuple[Tensor, ...]:
    """The operands of a node, of a choice by the mode only that of inference."""
    operands = node.network.operands(node)
    return operands[2:] if operands and operands[0].kind == "mode" else operands


class _Convolutional:
    """The nodes between `window` and the logits again, over larger images."""

    def __init__(self, window: Tensor, images: Tensor, final: str) -> None:
        self._network, self._final = images.network, final
        self._made = {window.name: images}
        self._flat: dict[str, tuple[int, ...]] = {}  # (C, h, w) of the maps that a vector of the classifier was made of

    def of(self, node: Tensor, name: str | None = None) -> Tensor:
        """What the node becomes; itself where it does not depend on the images."""
        if node.name in self._made:
            return self._made[node.name]
        operands = _branch(node)
        made = [self.of(operand) for operand in operands]
        if all(new == old for new, old in zip(made, operands, strict=True)):
            self._made[node.name] = node
            return node
        label = name or f"{self._final}.{node.name}"
        op = self._network.made.nodes[node.name]["op"]
        if len(operands) < len(self._network.operands(node)):  # a choice by the mode
            self._keep_flat(node, operands)
            result = made[0]
        elif op == "reshape" and node.ndim == 2 and operands[0].ndim == 4:
            self._flat[node.name] = tuple(map(int, operands[0].shape[1:]))
            result = made[0]
        elif op == "matmul" and operands[0].name in self._flat and made[1] == operands[1] and operands[1].ndim == 2:
            result = self._correlated(node, operands[0], made, label)
        else:
            self._keep_flat(node, operands)
            flat = node.name in self._flat
            columns = [self._column(m) if flat and m == o else m for m, o in zip(made, operands, strict=True)]
            result = self._again(node, operands, columns, label)
        self._made[node.name] = result
        return result

    def _keep_flat(self, node: Tensor, operands: Sequence[Tensor]) -> None:
        known = [self._flat[o.name] for o in operands if o.name in self._flat]
        if known:
            self._flat[node.name] = known[0]

    def _correlated(self, node: Tensor, vector: Tensor, made: Sequence[Tensor], label: str) -> Tensor:
        """x W as a correlation with the window that x was made of."""
        channels, height, width = self._flat[vector.name]
        units = int(made[1].shape[1])
        self._flat[node.name] = (units, 1, 1)
        turned = transpose(made[1], name=f"{label}.WT")
        kernel = reshape(turned, (units, channels, height, width), name=f"{label}.kernel")
        return correlate(made[0], kernel, name=label)

    def _column(self, tensor: Tensor) -> Tensor:
        """A bias per unit as one per channel."""
        if tensor.ndim == 0:
            return tensor
        return reshape(tensor, (int(tensor.shape[-1]), 1, 1), name=self._network.fresh_name(f"{self._final}.column"))

    def _again(self, node: Tensor, operands: Sequence[Tensor], made: Sequence[Tensor], label: str) -> Tensor:
        """The node's op on other operands; it must be an op of the registry, and pointwise or windowed."""
        data = self._network.made.nodes[node.name]
        definition = node.definition
        assert definition is not None
        axes = tuple(extent.axis for extent in definition.axes)
        moved = [number for number, operand in enumerate(operands) if self._made[operand.name] != operand]
        pointwise = not definition.reduced and all(a.index == axes for a in definition.accesses if a.operand in moved)
        scratch = Network()
        alike = [scratch.input(f"x{n}", o.shape, o.dtype) for n, o in enumerate(operands)]
        try:
            same = (pointwise or data["op"] in WINDOWED) and _apply(data, alike, None).definition == definition
        except GraphnnError:
            same = False
        if not same:
            raise GraphError(
                f"fully_convolutional: '{node.name}' ({data['op']}) is no correlation, pool, pointwise op, reshape to "
                "vectors or dense layer"
            )
        return _apply(data, made, label)


def _apply(data: dict[str, Any], operands: Sequence[Tensor], name: str | None) -> Tensor:
    op, attributes = find_op(data["op"]), data["attributes"]
    if not isinstance(op, Op):
        result: Tensor = op(*operands, name=name, **attributes)
        return result
    names = [o for o in op.operands if o not in attributes]  # a number takes the place of an operand
    return op(name=name, **dict(zip(names, operands, strict=True)), **attributes)
