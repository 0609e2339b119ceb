"""The text of every statement."""

from __future__ import annotations

from graphnn.lower.ir import Accumulate, Buffer, Contract, Fold, For, If, Let, Program, Store, Transform, Way
from graphnn.lower.printer import print_program
from graphnn.simplify.expr import Local, Origin
from tests.lower.make import at, e, op, span

GOLDEN = """\
program every(N, K)
  input x: float32[N, 4]
  temp t: float32[N*K, 4] layout (1, 0)
  output y: float64[]
  for i0 in 0 .. N parallel:
    for i1 in 1 .. 4 vector:
      fold s0 = sum[0 <= r0 < 4] fma(x[i0, r0], x[i0, i1], s0)
      fold s1 = sum[0 <= r1 < 4, 0 <= r2 < r1 if (r1 < i0)] x[i0, r2]
      fold s2 = prod[0 <= r3 < 4 in 2 lanes] x[i0, r3]*x[i0, i1]
      let t0 = (s0 + s1)
      if (t0 < 0.0):
        x[i0, i1] = tanh(t0)
      t[i0, i1] = (t[i0, i1] + t0)
      t[i0, i1] = max(t[i0, i1], t0)
  contract c0 = sum[m: 0 <= m0 < N; n: 0 <= n0 < K; k: 0 <= k0 < 2, 0 <= k1 < 2] fma(x[m0, k0], x[k1, n0], c0):
    t[m0, n0] = c0
  contract c1 = sum[m: 0 <= m0 < N; n: 0 <= n0 < K; k: 0 <= k0 < 2, 0 <= k1 < 2 in 2 lanes] fma(x[m0, k1], 1.5, c1):
    t[m0, n0] = c1
  transform v = sum[0 <= p < 1, 0 <= q < 2; 0 <= i < 2, 0 <= j < 1] (1.0 -0.5)[p, i]*(1.0, 2.0)[q, j]*x[i, j]:
    t[p, q] = v
  y[] = 1.5
"""


def every(origin=None):
    x, s0, t0 = at("x", "i0", "i1"), Local("s0", "float32"), Local("t0", "float32")
    element = (e("i0"), e("i1"))
    inner = (
        Fold("s0", "sum", (span("r0", 4),), None, op("mul", at("x", "i0", "r0"), x), origin),
        Fold("s1", "sum", (span("r1", 4), span("r2", "r1")), op("lt", "r1", "i0"), at("x", "i0", "r2"), origin),
        Fold("s2", "prod", (span("r3", 4),), None, op("mul", at("x", "i0", "r3"), x), origin, lanes=2),
        Let("t0", op("add", s0, Local("s1", "float32"))),
        If(op("lt", t0, 0.0), (Store("x", element, op("tanh", t0), origin),)),
        Accumulate("t", element, "sum", t0, origin),
        Accumulate("t", element, "max", t0, origin),
    )
    ranges = span("m0", "N"), span("n0", "K"), (span("k0", 2), span("k1", 2))
    product, second = (Store("t", (e("m0"), e("n0")), Local(name, "float32")) for name in ("c0", "c1"))
    kept = Store("t", (e("p"), e("q")), Local("v", "float32"))
    ways = Way("p", "i", ((1.0, -0.5),)), Way("q", "j", ((1.0,), (2.0,)))
    buffers = (
        Buffer("x", "float32", (e("N"), e(4)), "input", (0, 1)),
        Buffer("t", "float32", (op("mul", "N", "K"), e(4)), "temp", (1, 0)),
        Buffer("y", "float64", (), "output", ()),
    )
    body = (
        For("i0", e(0), e("N"), (For("i1", e(1), e(4), inner, "vector"),), "parallel"),
        Contract("c0", *ranges, at("x", "m0", "k0"), at("x", "k1", "n0"), (product,), origin),
        Contract("c1", *ranges, at("x", "m0", "k1"), e(1.5), (second,), origin, lanes=2),
        Transform("v", *ways, at("x", "i", "j"), (kept,), origin),
        Store("y", (), e(1.5), origin),
    )
    return Program("every", ("N", "K"), buffers, body)


def test_every_statement():
    assert print_program(every()) == GOLDEN


def test_origins_do_not_show():
    assert print_program(every(Origin("hidden"))) == print_program(every())
