"""Stage `declare`: a network is a static graph of formulas in index notation.

in   index notation written by a person, and arrays' shapes
out  a Network (networkx.MultiDiGraph) whose op nodes each hold one Definition

notation.py    indices, operands, reducers: what a person writes
entries.py     what that is made of, as expressions of sympy
formula.py     the formula of an op, before it is bound to shapes
recipe.py      a formula bound to shapes: definitions of one reducer each
bind.py        entries and axes become one Definition, checked
definition.py  Definition: one formula, bound to shapes; what every later stage reads
reducers.py    identity and combine function of sums, products, maxima and minima
outline.py     what declaring asks of a definition that is not made yet
describe.py    the outline of a definition
outlines.py    outlines of calls that were made before, in this process or an earlier one
extents.py     extents as ints and texts
sizes.py       extents as expressions of sympy
affine.py      quasi-affine index expressions: extremes, simplification
whole.py       quotients, remainders, inequalities and choices, written without sympy's questions
parts.py       the parts of an expression that are of some kinds
substitute.py  substitution that evaluates again only what it may change
op.py          op(), elementwise(): templates that bind to operands and give Definitions
registry.py    names of ops; `ops/` fills it
network.py     Network and Tensor
requests.py    nodes that are made when somebody looks
updates.py     which updates belong to which tensors
attributes.py  attributes of nodes as plain data
canonical.py   the text of a graph that goes into the key of a program
text.py        texts of formulas and definitions
summary.py     a network as a table of its layers
state.py       the values of parameters and other state variables
arrays.py      arrays that start at a cache line
trees.py       formulas as plain data
scalars.py     functions that sympy has no name for
primitives.py  the same, for formulas that are made later
labels.py      names made inert for display
verify.py      what every definition must hold, however it was made
serialize.py   networks from and to JSON
plain.py       networks from plain networkx graphs
arithmetic.py  scalar formulas in float64, complex128 and mpmath numbers
reference.py   the reference evaluator: definitions evaluated straight from their index notation
"""
