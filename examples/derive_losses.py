"""Where the errors of backpropagation come from: derivations of activations and losses, step by step.

$ python examples/derive_losses.py
"""

import graphnn as gn

# 1. One function. Its derivative is found in terms of its own output: sigma' = y(1 - y), tanh' = 1 - y^2.
for activation in (gn.sigmoid, gn.tanh, gn.softplus, gn.relu):
    print(gn.derivation(activation), end="\n\n")

# The form that is cheapest loses relative accuracy where y is close to 1. accuracy="tight" keeps every digit.
print(gn.derivation(gn.sigmoid, accuracy="tight"), end="\n\n")

# A step has no derivative that could teach anything, and says so.
try:
    gn.derivation(gn.step)
except gn.DeriveError as error:
    print(error, end="\n\n")

# 2. One sigmoid neuron under two losses. The quadratic loss keeps the factor a(1 - a): a unit that is saturated and
# wrong learns slowly. Under cross-entropy it cancels, and the error is a - y.
for loss_of in (gn.quadratic, gn.binary_cross_entropy):
    net = gn.Network("neuron")
    z = net.input("z", ("N",))
    y = net.input("y", ("N",))
    loss = loss_of(gn.sigmoid(z, name="a"), y, name="C")
    print(gn.derivation(loss, z), end="\n\n")

# 3. Softmax with cross-entropy, for integer labels: softmax minus one-hot, whatever the number of classes.
net = gn.Network("classifier")
logits = net.input("z", ("N", 10))
label = net.input("label", ("N",), dtype="int64")
loss = gn.cross_entropy(gn.softmax(logits, name="p"), label, name="C")
print(gn.derivation(loss, logits), end="\n\n")

# 4. Two layers: the same in index notation, layer by layer. gn.latex gives any of these for a page of yours.
net = gn.Network("two layers")
x = net.input("x", ("N", 4))
y = net.input("y", ("N", 2))
a1 = gn.dense(x, 3, activation=gn.sigmoid, name="a1")
a2 = gn.dense(a1, 2, activation=gn.sigmoid, name="a2")
loss = gn.quadratic(a2, y, name="C")
weights = net.parameters["a1.W"]
(gradient,) = gn.gradients(loss, [weights])
for node in net.ancestors([gradient]):
    if node.name.startswith("dC/d"):
        print(f"{node.name} = {gn.formula(node)}")
print(gn.latex(gradient))
