"""Stage `lower`: formulas become loops over buffers.

in   a FormulaProgram (simplify/formula.py): one formula per materialised array, in order
out  a Program (ir.py): one naive nest per formula, with tight bounds, verified

ir.py           the loop IR: the whole grammar on one screen; transforms.py the steps of a Transform
builder.py      lower(): formulas -> nests; reductions -> folds; updates -> copies at the end
scatter.py      a sum guarded by out axis == loaded integer -> fill and accumulate
bounds.py       tighten(): guards of folds -> bounds of their ranges
affine.py       integer forms, in which bounds are solved and compared
guards.py       conditions taken apart and put together
nests.py        fresh names, loops, conditions around statements
verify.py       verify(): what every later stage may rely on
types.py        the dtypes of each scalar function
printer.py      print_program(): the text of a program
interpreter.py  interpret(): the meaning of a program, on NumPy arrays
scalars.py      the scalar functions of the interpreter
"""
