"""The progress bar of `fit`: one line, updated as steps are made, with the numbers of the last epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from graphnn.nn.training.history import History


class Bar:
    """What `fit` reports to; without a display it does nothing."""

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, steps: int) -> None:
        """So many steps are done."""

    def end_epoch(self, history: History) -> None:
        """The history has a new entry."""

    def tell(self, text: str) -> None:
        """Something to read, on a line of its own."""


def progress_bar(shown: bool, total: int, steps: int, done: int = 0) -> AbstractContextManager[Bar]:
    """A Bar over `total` steps, `steps` to an epoch, of which some are done."""
    return _displayed(total, steps, done) if shown else Bar()


@contextmanager
def _displayed(total: int, steps: int, done: int) -> Iterator[Bar]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # 20 ms, for those who see it

    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[report]}", markup=False),
    )
    with Progress(*columns) as progress:
        epochs = -(-total // steps)
        epoch = min(done // steps + 1, epochs)
        task = progress.add_task("fit", total=total, completed=done, epoch=epoch, epochs=epochs, report="")

        class Display(Bar):
            def show(self, steps: int) -> None:
                progress.update(task, completed=steps)

            def end_epoch(self, history: History) -> None:
                report = "  ".join(f"{name} {value:.4g}" for name, value in history.last().items())
                progress.update(task, epoch=min(history.epochs + 1, epochs), report=report)

            def tell(self, text: str) -> None:
                progress.console.print(text, markup=False, highlight=False)

        yield Display()
