"""What the benchmarks count and write, on small cases; no time is asserted."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import __main__ as command
from tests.benchmarks import environments, fresh
from tests.benchmarks.compare import compare
from tests.benchmarks.environments import PACKAGES
from tests.benchmarks.kernels import count_bytes, count_flops, scheduled
from tests.benchmarks.peers import server
from tests.benchmarks.peers.process import ROOT, Peer, PeerFailed, find_peers
from tests.benchmarks.scaling import exponent
from tests.benchmarks.tables import PAGE, report, rewrite, sections
from tests.benchmarks.targets import duration, judge
from tests.benchmarks.works import WORKS, Net, conv, dense


def test_works_have_the_sizes_of_their_papers() -> None:
    parameters = {name: sum(w.size + b.size for w, b in WORKS[name].weights()) for name in ("lenet64", "vgg64")}
    assert parameters["lenet64"] == 156 + 2416 + 48120 + 10164 + 850
    assert parameters["vgg64"] == 896 + 9248 + 18496 + 36928 + 4096 * 128 + 128 + 1290
    alexnet = WORKS["alexnet1 inference"]
    # One tower, 1000 classes: 61.1 million parameters, 714 million multiply-adds.
    assert sum(a * b for a, b in ((9216, 4096), (4096, 4096), (4096, 1000))) < alexnet.flops / 2
    assert round(alexnet.flops / 2e6) == 714


def test_flops_of_a_step_count_each_gradient_but_that_of_the_images() -> None:
    net = Net("step", 2, (3, 8, 8), "relu", (conv(4, 3, 1), *dense(5)))
    first, last = 4 * 3 * 9 * 64, 4 * 64 * 5
    assert net.flops == 2 * 2 * (2 * first + 3 * last)


@pytest.mark.parametrize("name", ["mlp64", "lenet64 inference"])
def test_the_contractions_of_a_program_have_the_flops_of_the_work(name: str) -> None:
    work = WORKS[name]
    program, arrays = scheduled(work)
    assert sum(map(count_flops, program.body)) == pytest.approx(work.flops, rel=0.1)
    assert count_bytes(program) > sum(a.nbytes for name, a in arrays.items() if name not in ("x", "y"))


def peers(tmp_path: Path, *names: str) -> list[Peer]:
    return [p for p in find_peers({}, 1, tmp_path) if p.name in names]


def test_a_comparison_of_two_processes(tmp_path: Path) -> None:
    found = peers(tmp_path, "graphnn", "numpy")
    try:
        times = compare(found, "tiny", 1)
        assert set(times) == {"graphnn", "numpy"}
        assert all(isinstance(t, float) and t > 0 for t in times.values())
        assert compare(found, "tiny epoch", 1)["numpy"] == "dense networks only"
        memory = found[1].ask("memory")
        assert 0 < memory["before"] < memory["peak"] <= memory["process"]
    finally:
        for peer in found:
            peer.close()


def test_another_result_is_named_and_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"graphnn": np.ones(3), "numpy": np.array([1, 1, 1.1])}
    monkeypatch.setattr(Peer, "build", lambda peer, work: {"result": answers[peer.name]})
    monkeypatch.setattr(Peer, "ask", lambda peer, order: {"seconds": 2.0})
    found = compare(peers(tmp_path, "graphnn", "numpy"), "mlp64", 1)
    assert found == {"graphnn": 2.0, "numpy": "another result than graphnn"}


def test_a_peer_that_does_not_start_is_named(tmp_path: Path) -> None:
    (missing,) = [p for p in find_peers({"jax": "/bin/false"}, 1, tmp_path) if p.library == "jax"]
    with pytest.raises(PeerFailed, match="jax does not start"):
        missing.ask("slice")
    assert "jax does not start" in str(compare([missing], "tiny", 1)["jax"])


def test_libraries_that_fail_are_left_out_of_starts() -> None:
    assert set(fresh.imports({"graphnn": sys.executable, "jax": "/bin/false"})) == {"graphnn"}


def test_exponents_of_growth() -> None:
    assert exponent({"n": 1, "t": 5}, {"n": 4, "t": 80}, "n", "t") == pytest.approx(2)


def test_a_peer_that_is_missing_is_named_on_the_page() -> None:
    assert "Could not be installed here: openvino." in sections(RESULTS)["machine"]


def test_a_peer_that_cannot_be_installed_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "_install", lambda home, python, library: library == "jax")
    assert list(environments.build(tmp_path, ["torch", "jax"])) == ["jax"]


def test_growth_and_kernels_as_tables() -> None:
    found = sections(RESULTS)
    assert "| 2 4 | 0 0 | 4.00 16.00 | 1.00 | 2.00 |" in found["growth"]
    assert "| `h` | 500 ms | 0 | 3.0 | 50% |" in found["kernels"]


def test_a_long_result_is_compared_in_places() -> None:
    assert len(server.values((np.arange(1 << 20), 3.0))) == server.COMPARED + 1


RESULTS = {
    "date": "2026-01-01",
    "machine": {"processor": "P", "cores": 2, "peak": {"1": 100.0}, "copy": {"1": 10.0}},
    "versions": {"jax": "1.0"},
    "missing": ["openvino"],
    "times": {"1": {"mlp64": {"graphnn": 4e-4, "jax": 8e-4, "torch": "not installed"}}},
    "memory": {"mlp64": {"graphnn": {"before": 10.0, "peak": 30.0, "process": 40.0}, "jax": "failed"}},
    "compile": {"mlp64": {"graphnn": 0.1, "jax": 0.2}},
    "cached": {},
    "imports": {"graphnn": 0.01, "jax": 0.5},
    "starts": {},
    "kernels": {
        "mlp64": [{"label": n, "seconds": t, "flops": 6, "bytes": 2} for n, t in (("whole", 1.0), ("h <- s", 0.5))]
    },
    "scaling": {"depth": [{"size": n, "flops": n, "step": 2e-9 * n, "compile": n * n} for n in (2, 4)]},
}


@pytest.mark.parametrize(("own", "met"), [(5.7e-4, True), (5.8e-4, False)])
def test_a_verdict(own: float, met: bool) -> None:
    """mlp64 is to be 1.4 times as fast as the best peer: 8e-4/1.4 = 5.71e-4; and at 80% of the peak."""
    times = {"graphnn": own, "jax": 8e-4, "torch": 9e-4, "numpy": "cannot"}
    machine = {**RESULTS["machine"], "peak": {"1": 1.0}}
    (verdict,) = judge({**RESULTS, "machine": machine, "times": {"1": {"mlp64": times}}}, "1")
    assert (verdict.met, verdict.peer) == (met, "jax, 800 us")


def test_the_page_is_rewritten_between_its_marks() -> None:
    page = "a\n<!-- measured: compile -->\nold\n<!-- end -->\nb\n<!-- measured: unknown -->\nkept\n<!-- end -->\n"
    after = rewrite(page, sections(RESULTS))
    assert "old" not in after
    assert "| mlp64 | 100 ms | 200 ms |" in after
    assert "kept" in after
    assert after.startswith("a\n")


def test_the_page_has_a_place_for_every_section_that_a_run_gives() -> None:
    full = {**RESULTS, "times": dict.fromkeys(("1", "2"), RESULTS["times"]["1"]), "cached": RESULTS["compile"]}
    full["machine"] = {**RESULTS["machine"], "peak": {"1": 100.0, "2": 200.0}, "copy": {"1": 10.0, "2": 20.0}}
    text = PAGE.read_text()
    assert [name for name in sections(full) if f"<!-- measured: {name} -->" not in text] == []


def test_a_report_of_json_equals_one_of_what_was_measured() -> None:
    assert report(json.loads(json.dumps(RESULTS))) == report(RESULTS)


DURATIONS = {2.5e-7: "0.25 us", 1.234e-3: "1.23 ms", 0.0567: "56.7 ms", 123.4: "123 s", 5e-8: "0.050 us"}


@pytest.mark.parametrize("seconds", list(DURATIONS))
def test_durations(seconds: float) -> None:
    assert duration(seconds) == DURATIONS[seconds]


def test_every_peer_has_its_side() -> None:
    found = find_peers(dict.fromkeys(PACKAGES, ""), 1, Path())
    assert {p.library for p in found} > set(PACKAGES)
    assert all((ROOT / "tests" / "benchmarks" / "peers" / f"{p.library}_peer.py").exists() for p in found)


def test_a_slow_minute_does_not_lower_the_limits_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def describe(rate: float, threads: list[int], known: dict[str, object]) -> dict[str, dict[str, float]]:
        monkeypatch.setattr(command, "peak", lambda n: rate * n)
        monkeypatch.setattr(command, "copy_bandwidth", lambda n: rate)
        return command.describe_machine(threads, known)

    first = describe(100, [1], {})
    assert describe(90, [1, 2], first)["peak"] == {"1": 100, "2": 180}
    assert describe(110, [2], first)["copy"] == {"1": 100, "2": 110}
    assert describe(90, [1], first | {"processor": "another"})["peak"] == {"1": 90}


def test_processes_keep_bytecode_whatever_the_caller_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert fresh._python(sys.executable, "-c", "import sys; print(sys.dont_write_bytecode)").strip() == "False"


def test_the_watch_stops_while_a_library_takes_over_weights() -> None:
    watch = server.Stopwatch()
    watch.start()
    with watch.paused():
        time.sleep(0.2)
    assert watch.seconds < 0.1
    time.sleep(0.2)
    assert watch.seconds > 0.19
