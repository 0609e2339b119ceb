"""Times of the works in graphnn and its peers, asked in turns within one run.

All processes of one number of threads live side by side; an idle one sleeps. Per work each builds it, results are
compared, then slices of some 50 ms alternate, and the figure is the median of a process' slices.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from tests.benchmarks.peers.process import Peer, PeerFailed

AGREE = 2e-3  # of results, relative to the largest
SETTLE = 0.2  # seconds after which the threads of another library's pool have stopped looking for work
FAR, FEW = 5, 3  # a peer this much slower than the fastest gets so many slices only
Times = dict[str, float | str]  # seconds of a run, or why there is no figure


def compare(peers: Iterable[Peer], work: str, rounds: int) -> Times:
    """By the peers' names. A peer that cannot do a work, fails, or computes something else says so."""
    peers = list(peers)
    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(peers, pool.map(lambda peer: _build(peer, work), peers), strict=True))
    found: Times = {peer.name: answer["cannot"] for peer, answer in answers.items() if "cannot" in answer}
    expected = answers[peers[0]].get("result")
    samples: dict[Peer, list[float]] = {}
    for peer, answer in answers.items():
        if "result" not in answer:
            continue
        if expected is not None and not _agree(answer["result"], expected):
            found[peer.name] = f"another result than {peers[0].name}"
        else:
            samples[peer] = []
    for turn in range(rounds + 1):
        fastest = min((times[-1] for times in samples.values() if times), default=0.0)
        for peer in [p for p, times in samples.items() if turn <= FEW or times[-1] < FAR * fastest]:
            if peer.threads > 1:
                time.sleep(SETTLE)
            try:
                samples[peer].append(peer.ask("slice")["seconds"])
            except PeerFailed as error:
                found[peer.name] = str(error)
                del samples[peer]
    # The first slice finds out how many runs fill one.
    medians = {peer.name: statistics.median(times[1:]) for peer, times in samples.items()}
    return {peer.name: {**found, **medians}[peer.name] for peer in peers}


def _build(peer: Peer, work: str) -> dict[str, Any]:
    try:
        return peer.build(work)
    except PeerFailed as error:
        return {"cannot": str(error)}


def _agree(result: np.ndarray, expected: np.ndarray) -> bool:
    scale = float(np.abs(expected).max())
    return result.shape == expected.shape and np.allclose(result, expected, rtol=AGREE, atol=AGREE * scale)
