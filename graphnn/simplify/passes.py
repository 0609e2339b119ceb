"""simplify(): from a network's nodes to a program of formulas, with the trace of what was rewritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy

from graphnn.declare.definition import FLOATS, Extent
from graphnn.declare.network import Network, Tensor
from graphnn.declare.notation import axis_symbol, size_symbol
from graphnn.simplify.clipped import compare_outputs
from graphnn.simplify.convert import Arrays, Converter
from graphnn.simplify.engine import Simplifier
from graphnn.simplify.expr import DType, Expr, Origin, Role
from graphnn.simplify.facts import Facts, find_distributions, find_extremes, find_index_bounds
from graphnn.simplify.formula import Accuracy, Array, FormulaProgram
from graphnn.simplify.mode import specialise
from graphnn.simplify.region import Assignment, assignment_of, choose_roots, entries, is_monomial, read, stored_anyway
from graphnn.simplify.rules import Trace


@dataclass(frozen=True, slots=True)
class Simplified:
    """The result: formulas, how they came about, and what the boundary must check of integer and distribution inputs.

    `results` names the array of each output tensor; `made` holds each array's final assignment, `smooth` the maps
    before stabilisation, `inlined` what was expanded.
    """

    program: FormulaProgram
    trace: Trace
    made: Mapping[str, Assignment]
    smooth: Mapping[str, Assignment]
    inlined: Mapping[str, Assignment]
    results: Mapping[str, str]
    index_bounds: tuple[tuple[str, Expr], ...]
    extremes: tuple[tuple[str, Expr, Expr], ...]
    distributions: tuple[str, ...]


def simplify(
    network: Network,
    outputs: Sequence[Tensor],
    updates: Mapping[str, Tensor] | None = None,
    sizes: Mapping[str, int] | None = None,
    accuracy: Accuracy = "fast",
    dtype: DType | None = None,
    training: bool = False,
) -> Simplified:
    """Formulas for `outputs` and for the new values of the state variables in `updates`.

    `sizes` binds symbolic sizes to numbers; `dtype` replaces every float dtype; `training` is the mode.
    """
    updates = dict(updates or {})
    bound = {size_symbol(name): sympy.Integer(value) for name, value in (sizes or {}).items()}
    specialised = specialise(network, [*outputs, *updates.values()], training)
    order = [s.node for s in specialised]
    assignments = [
        assignment_of(s.node, s.definition, s.operands, bound) for s in specialised if s.definition is not None
    ]
    leaves = {s.node.name: s.node for s in specialised if s.definition is None}
    wanted = {t.name for t in (*outputs, *updates.values())}
    shapes = {n.name: tuple(d.xreplace(bound) for d in n.shape_exprs) for n in leaves.values()}
    facts = Facts(find_index_bounds(network, order, bound), find_distributions(network, order, bound), shapes)
    simplifier = _add_all(assignments, facts, accuracy, wanted)
    renamed: dict[str, str] = {}
    for leaf in (leaf for name, leaf in leaves.items() if name in wanted):
        renamed[leaf.name] = f"{leaf.name}.out"
        simplifier.made[renamed[leaf.name]] = _copy(leaf, bound)
    results = {t.name: renamed.get(t.name, t.name) for t in outputs}
    news = {state: renamed.get(t.name, t.name) for state, t in updates.items()}
    needed = _needed(simplifier.made, [*results.values(), *news.values()])
    leaves |= {state: network[state] for state in news}
    inputs = [name for name, leaf in leaves.items() if leaf.kind == "input"]
    arrays = _arrays(leaves, needed, bound, frozenset(facts.bounds) & set(inputs), dtype)
    converters = [
        Converter(arrays, arrays.dtypes[a.name], _origin(a, network, simplifier.trace), a.sizes) for a in needed
    ]
    formulas = tuple(c.formula(a) for c, a in zip(converters, needed, strict=True))
    plain = Converter(arrays, "int64", Origin(""), {})
    used = {e.operand for a in needed for e in (*entries(a.body), *entries(a.guard))} | {*news, *inputs}
    roles: dict[str, Role] = {name: "input" if name in inputs else "state" for name in leaves if name in used}
    roles |= {a.name: "output" if a.name in results.values() else "temp" for a in needed}
    free = {s.name for n in order for d in n.shape_exprs for s in d.free_symbols} - set(sizes or {})
    extremes = find_extremes(assignments)
    return Simplified(
        program=FormulaProgram(
            network.name,
            tuple(sorted(free)),
            tuple(Array(n, arrays.dtypes[n], tuple(map(plain.index, arrays.shapes[n])), r) for n, r in roles.items()),
            formulas,
            tuple(news.items()),
        ),
        trace=simplifier.trace,
        made=simplifier.made,
        smooth=simplifier.smooth,
        inlined=simplifier.inlined,
        results=results,
        index_bounds=tuple((name, plain.index(facts.bounds[name])) for name in inputs if name in facts.bounds),
        extremes=tuple((name, plain.index(terms), plain.index(count)) for name, terms, count in extremes),
        distributions=tuple(sorted(facts.distributions)),
    )


def _arrays(
    leaves: Mapping[str, Tensor],
    made: Sequence[Assignment],
    bound: Mapping[sympy.Symbol, sympy.Expr],
    checked: frozenset[str],
    dtype: DType | None,
) -> Arrays:
    """dtypes and shapes of everything that a formula may read; `dtype` replaces every float dtype."""

    def final(name: str) -> DType:
        return dtype if dtype is not None and name in FLOATS else name  # type: ignore[return-value]

    dtypes = {n.name: final(n.dtype) for n in leaves.values()} | {a.name: final(a.dtype) for a in made}
    shapes = {n.name: tuple(d.xreplace(bound) for d in n.shape_exprs) for n in leaves.values()}
    shapes |= {a.name: tuple(e.size for e in a.axes) for a in made}
    return Arrays(dtypes, shapes, checked, {name: age for age, name in enumerate(dtypes)})


def _origin(assignment: Assignment, network: Network, trace: Trace) -> Origin:
    """Where a formula comes from: its node, the addend, the last rewrite, and the arrays it reads."""
    fired = trace.of(assignment.name)
    data = network.made.nodes.get(assignment.name, {}).get("attributes", {})
    parents = tuple(dict.fromkeys(Origin(e.operand) for e in entries(assignment.body)))
    return Origin(assignment.name, int(data.get("addend", 0)), fired[-1].rule if fired else "declare", parents)


def _add_all(assignments: Sequence[Assignment], facts: Facts, accuracy: Accuracy, wanted: set[str]) -> Simplifier:
    """Simplify every node; a softmax whose inlining did not pay is stored.

    exp(z)/s is inlined in the hope that it cancels. Where a sum s is left that cannot be shifted, which overflows for
    large z, the work is done again with the quotient as an array: its own formula always can be shifted.
    """
    kept = set(wanted)
    declared = {a.name: a.body for a in assignments}
    asking = compare_outputs(assignments, stored_anyway(assignments) | wanted)
    assignments = [assignment for assignment, _ in asking]
    while True:
        simplifier, roots = Simplifier(facts, accuracy, wanted), choose_roots(assignments, kept)
        for assignment, asked in asking:
            name = assignment.name
            simplifier.trace.record(name, "compare the output", declared[name], assignment.body, asked)
            simplifier.add(assignment, name in roots)
        used = {a.name for a in _needed(simplifier.made, sorted(wanted))}
        bare = used & simplifier.sums.keys() - wanted
        quotients = [a for a in assignments if a.reducer is None and a.body.has(sympy.exp) and is_monomial(a.body)]
        found = {a.name for a in quotients if bare & {e.operand for e in entries(a.body)}}
        if found <= roots:
            return simplifier
        kept |= found


def _copy(node: Tensor, bound: Mapping[sympy.Symbol, sympy.Expr]) -> Assignment:
    axes = tuple(Extent(axis_symbol(f"i{n}"), d.xreplace(bound)) for n, d in enumerate(node.shape_exprs))
    body = read(node.name, [e.axis for e in axes], node.dtype)
    return Assignment(f"{node.name}.out", axes, None, (), sympy.true, body, node.dtype)


def _needed(made: Mapping[str, Assignment], results: Sequence[str]) -> list[Assignment]:
    """The assignments that the results are made of, operands first."""
    done: dict[str, Assignment] = {}
    stack = [(name, False) for name in reversed(results)]
    while stack:
        name, expanded = stack.pop()
        if name in done or name not in made:
            continue
        if expanded:
            done[name] = made[name]
            continue
        stack.append((name, True))
        read_names = dict.fromkeys(e.operand for part in (made[name].body, made[name].guard) for e in entries(part))
        stack += [(r, False) for r in reversed(read_names) if r not in done]
    return list(done.values())
