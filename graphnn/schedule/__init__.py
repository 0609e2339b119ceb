"""Stage `schedule`: naive loop nests become ones that run fast, and their temps get a place in memory.

in   a Program (lower/ir.py): one nest per formula, state copies at the end
out  a Program: contractions, fused nests, layouts, vector and parallel loops; and a MemoryPlan of its temps

passes.py            schedule(): the passes in order
contract.py          sums of products -> Contract; operands.py how it reads its factors, guards.py what they exclude
split_reductions.py  long folds -> levels of short chains
in_place.py          next state and copy -> store to the state
layout.py            the memory order of temps
fuse.py              nests -> one nest; match.py when it is legal, forward.py values in registers
filtering.py         correlations.py and kernel_gradients.py with fewer products; algorithms.py, filter_choice.py,
                     and the statements: tiles.py, filtered_tiles.py, filtered_kernels.py
vectorise.py         kinds of loops; loops.py the cheapest loop for the lanes
cost.py              what a statement costs on a machine.py
memory.py            plan(): lifetimes and offsets
statements.py        the parts of statements; nest.py perfect nests, affine.py indices, reorder.py what commutes
"""
