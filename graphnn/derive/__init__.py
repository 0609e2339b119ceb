"""Stage `derive`: gradients are nodes of the same graph, made of derivatives that sympy finds.

    in   a Network, tensors to differentiate, tensors to differentiate by
    out  new op nodes of that Network

    scalar.py   the derivative of a definition's scalar body by one access
    output.py   the same derivative in terms of the saved output (sigma' = y(1-y)), found by elimination
    solve.py    index equations: from scatter to gather
    adjoint.py  the adjoint of a definition by one access, as a recipe
    sweep.py    gradients(): the ways from x to y, and what has no gradient
    reverse.py  the reverse sweep over the graph, when somebody looks

    minimal_filtering.py  the matrices of fast correlation algorithms, by interpolation; the scheduler uses them

There is no derivative in this folder, or anywhere: a scalar's comes from sympy, a reducer's from its combine function,
an access's from its index equations.
"""
