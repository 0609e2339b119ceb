"""Stage `declare`: a network is a static graph of formulas in index notation.

in   index notation written by a person, and arrays' shapes
out  a Network (networkx.MultiDiGraph) whose op nodes each hold one Definition

notation.py    indices, operands, reducers: what a person writes
definition.py  Definition: one formula, bound to shapes; what every later stage reads
affine.py      quasi-affine index expressions: extremes, simplification
whole.py       quotients, remainders, inequalities and choices, written without sympy's questions
substitute.py  substitution that evaluates again only what it may change
op.py          op(), elementwise(): templates that bind to operands and give Definitions
registry.py    names of ops; `ops/` fills it
network.py     Network and Tensor
summary.py     a network as a table of its layers
state.py       the values of parameters and other state variables
arrays.py      arrays that start at a cache line
trees.py       formulas as plain data
labels.py      names made inert for display
verify.py      what every definition must hold, however it was made
serialize.py   networks from and to JSON
plain.py       networks from plain networkx graphs
arithmetic.py  scalar formulas in float64, complex128 and mpmath numbers
reference.py   the reference evaluator: definitions evaluated straight from their index notation
"""
