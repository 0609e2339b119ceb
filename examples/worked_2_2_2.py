"""A network of two inputs, two hidden and two output units, worked through with numbers.

Forward pass, gradients, one update and ten thousand of them: every figure is computed by compiled code.

$ python examples/worked_2_2_2.py
$ graphnn derive examples/worked_2_2_2.py:total --wrt net_o
"""

import numpy as np

import graphnn as gn

# The network. Column j of a matrix holds the weights into unit j. Biases stay as they are: they are not trainable.
net = gn.Network("worked")
x = net.input("x", ("N", 2), dtype="float64")
target = net.input("target", ("N", 2), dtype="float64")
w_hidden = net.parameter("w_hidden", (2, 2), dtype="float64")
b1 = net.parameter("b1", (2,), init=0.35, role="bias", dtype="float64", trainable=False)
w_output = net.parameter("w_output", (2, 2), dtype="float64")
b2 = net.parameter("b2", (2,), init=0.60, role="bias", dtype="float64", trainable=False)

net_h = gn.add(gn.matmul(x, w_hidden, name="xw"), b1, name="net_h")
out_h = gn.sigmoid(net_h, name="out_h")
net_o = gn.add(gn.matmul(out_h, w_output, name="hw"), b2, name="net_o")
out_o = gn.sigmoid(net_o, name="out_o")
errors = gn.multiply(0.5, gn.square(target - out_o), name="errors")  # of each output unit
total = gn.quadratic(out_o, target, name="E")  # their sum, for one row of inputs

net.state["w_hidden"] = [[0.15, 0.25], [0.20, 0.30]]  # w1 w3 / w2 w4
net.state["w_output"] = [[0.40, 0.50], [0.45, 0.55]]  # w5 w7 / w6 w8
data = {"x": [[0.05, 0.10]], "target": [[0.01, 0.99]]}


def show(name: str, value: float, digits: str) -> None:
    print(f"  {name:<15} = {float(value):{digits}}")


def main() -> None:
    print("Forward")
    forward = gn.compile({t.name: t for t in (net_h, out_h, net_o, out_o, errors, total)})
    at = forward(**data)
    show("net_h1", at["net_h"][0, 0], ".4f")
    show("out_h1", at["out_h"][0, 0], ".3f")
    show("out_h2", at["out_h"][0, 1], ".3f")
    show("net_o1", at["net_o"][0, 0], ".3f")
    show("out_o1", at["out_o"][0, 0], ".3f")
    show("out_o2", at["out_o"][0, 1], ".3f")
    show("E_o1", at["errors"][0, 0], ".3f")
    show("E_o2", at["errors"][0, 1], ".3f")
    show("E", at["E"], ".3f")

    # Any node can be differentiated by any node before it: single factors of the chain rule, and their product.
    print("\nBackward")
    by_out, by_output, by_hidden = gn.gradients(total, [out_o, w_output, w_hidden])
    (slope,) = gn.gradients(out_o, [net_o])  # each output depends on its own weighted sum only
    d_out, d_net, d_output, d_hidden = gn.compile([by_out, slope, by_output, by_hidden])(**data)
    show("dE/dout_o1", d_out[0, 0], ".3f")
    show("dout_o1/dnet_o1", d_net[0, 0], ".3f")
    show("dE/dw5", d_output[0, 0], ".3f")
    show("dE/dw1", d_hidden[0, 0], ".5f")

    print("\nThe error of the output units, derived")
    print(gn.derivation(total, net_o))

    print("\nOne update, rate 0.5")
    trainer = gn.Trainer(total, optimizer=gn.SGD(0.5), batch_size=None)
    trainer.step(**data)
    weights = np.concatenate([net.state["w_hidden"].T.ravel(), net.state["w_output"].T.ravel()])
    for number, weight in enumerate(weights, start=1):
        show(f"w{number} after 1", weight, ".4f" if number <= 4 else ".3f")
    show("E after 1", forward(**data)["E"], ".3f")

    print("\nTen thousand updates")
    for _ in range(9998):
        trainer.step(**data)
    show("E after 9999", forward(**data)["E"], ".5e")
    trainer.step(**data)
    show("E after 10000", forward(**data)["E"], ".4e")


if __name__ == "__main__":
    main()
