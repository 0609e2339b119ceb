"""Optimizers: update rules as formulas, schedules of the learning rate, clipping.

rule.py       Rule, Optimizer, optimizer(): a rule from one function of symbols
rules.py      SGD to Lion
decay.py      decoupled_decay(): decay of weights beside any rule
schedules.py  constants that are formulas of the step count, or are set from outside
clipping.py   clip_by_value(), clip_by_norm()
updates.py    an optimizer's formulas as nodes of a network
once.py       what scalars alone decide, apart from what each element needs
equations.py  an optimizer as LaTeX
"""
