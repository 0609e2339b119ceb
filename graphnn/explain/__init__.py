"""What a person looks at: formulas, derivations, drawings.

formula.py     formula(), latex(): one node, or everything inlined, in index notation
derivation.py  derivation(): the named steps from a definition to the formula that runs
"""
