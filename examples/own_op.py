"""Ops of your own: a formula each. Gradients, second derivatives and native code come by themselves.

$ python examples/own_op.py
"""

import numpy as np
import sympy

import graphnn as gn

# An elementwise op is a function of scalars.
swish = gn.elementwise("swish", lambda t: t / (1 + sympy.exp(-t)))

# Everything else is index notation: output axes, then a formula over element accesses. Reductions may be nested.
i, j, k, n = gn.indices("i j k n")
X = gn.operands("X")
mean = gn.Sum(X[i, k], k) / X.shape[1]
centred = X[i, j] - mean
variance = gn.Sum((X[i, n] - mean) ** 2, n) / X.shape[1]
standardise = gn.op("standardise", out=(i, j), body=centred / sympy.sqrt(variance + sympy.Rational(1, 1000)))

# A form that is linear in each of two rows, with a learned matrix between them.
A, M, B = gn.operands("A M B")
bilinear = gn.op("bilinear", out=(n,), body=gn.Sum(A[n, i] * M[i, j] * B[n, j], (i, j)))

net = gn.Network("own ops")
a = net.input("a", ("N", 5))
b = net.input("b", ("N", 4))
m = net.parameter("m", (5, 4), init=gn.Normal(0.5))
score = bilinear(standardise(a), m, swish(b), name="score")
loss = gn.mean(gn.square(score), name="loss")

print("swish, derived:", gn.derivation(swish).result)
dm, da = gn.gradients(loss, [m, a])
print("dloss/dm, one node deep:", gn.formula(dm))

# A second derivative is the gradient of a gradient: the Hessian times a direction v.
v = net.input("v", (5, 4))
(hessian_v,) = gn.gradients(gn.sum(dm * v), [m])

rng = np.random.default_rng(0)
arrays = {
    "a": rng.normal(size=(6, 5)).astype(np.float32),
    "b": rng.normal(size=(6, 4)).astype(np.float32),
    "v": rng.normal(size=(5, 4)).astype(np.float32),
}
run = gn.compile({"loss": loss, "dm": dm, "da": da, "Hv": hessian_v})
result = run(**arrays)
for name, value in result.items():
    print(f"{name:<4} {value.shape!s:<7} norm {np.linalg.norm(value):.4f}")

# Is it right? The loss is quadratic in m, so its value is half of m'Hm.
values = {name: arrays[name] for name in ("a", "b")}
by_m = run(**values, v=net.state["m"])["Hv"]
print("loss equals m'Hm/2:", np.isclose(result["loss"], np.sum(net.state["m"] * by_m) / 2, rtol=1e-4))

# And four ways: compiled, derived to 50 digits, central differences, complex steps.
report = gn.compare(loss, values, wrt=[m, a, b])
print(report)
