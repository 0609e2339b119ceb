"""What a person looks at: formulas, derivations, drawings.

formula.py     formula(), latex(): one node, or down to tensors of one's choice, in index notation
derivation.py  derivation(): the named steps from a definition to the formula that runs
minimal_filtering.py  minimal_filtering(): how a fast correlation algorithm comes about
rewrites.py    the rewrites of simplify/ as equations, a step each
text.py        an expression on one line
drawing.py     dot(), draw(): a network as Graphviz text and as a layered picture
terminal.py    tables of a network and of a derivation, in which names are inert
"""
