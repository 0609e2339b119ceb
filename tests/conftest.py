"""Options of the suite."""

import pytest


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
