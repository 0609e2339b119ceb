"""Stage `simplify`: the graph's definitions become few, stable formulas over our own expression nodes.

in   a Network's nodes (definitions, still smooth)
out  FormulaProgram: one formula per array that is materialised, and the Trace of rewrites that led to it

mode.py        training or inference: one of two branches is left
elements.py    what a formula reads, out of its way: layers share their algebra
region.py      which nodes are materialised; inlining the others into them
clipped.py     comparisons ask a saved maximum, not what it was taken of
rational.py    quotients of polynomials in lowest terms
algebra.py     cancellation: (-y/a + (1-y)/(1-a)) a(1-a) -> a - y
reductions.py  constant factors, one-hot sums and promised sums leave a reduction
shift.py       exp(z)/sum exp(z) -> exp(z-m)/sum exp(z-m); log sum exp(z) -> m + log sum exp(z-m)
stability.py   scalar rewrites: sigmoid, tanh, softplus, log1p, expm1, erfc
cost.py        what a formula costs to evaluate
bounded.py     quotients of sums of exponentials in exp(-|x|)
rules.py       the table of all rewrites (name, before, after, domain) and the trace of those that fired
facts.py       what is known of arrays beyond their formulas
engine.py      one node after the other: inline it, or make it and simplify its formula
instances.py   numeric check of each rewrite that fired
inside.py      proof that an access stays inside its array
convert.py     sympy -> expression nodes with origins
passes.py      simplify(): nodes in, formulas out
expr.py        the expression nodes      formula.py  the program of formulas
"""
