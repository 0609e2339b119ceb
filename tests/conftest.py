"""Options of the suite. Nothing is compiled from, or into, a cache but where a test says so."""

import os
import signal

import pytest

os.environ["GRAPHNN_CACHE"] = "0"  # the processes that tests start inherit it
# A shell starts what runs in the background with Ctrl-C ignored, and processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--graphs",
        type=int,
        default=100,
        help="random graphs that are compared three ways (default 100, always the same ones; more are drawn afresh)",
    )


@pytest.fixture(scope="session")
def graphs(request: pytest.FixtureRequest) -> int:
    """How many random graphs to compare."""
    count: int = request.config.getoption("--graphs")
    return count
