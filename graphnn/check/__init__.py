"""Symbolic against numeric backpropagation.

    in   a loss, values of its inputs
    out  a Report: four gradients that were computed independently, and where they differ most

compare.py      compare(): the derived formula natively and to 50 digits, differences, the complex step
point.py        the values at which gradients are compared, and the loss as a function of one of them
differences.py  central differences over a range of steps, one-sided slopes at kinks, the complex step
analytic.py     where a loss stops being an analytic function of a leaf
sample.py       draw_inputs(): random values that the inputs accept
report.py       Report: table, plot, plain data
"""
