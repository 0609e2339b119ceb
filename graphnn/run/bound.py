"""A call on arrays that stay the same: `Executable.bind`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from graphnn.errors import BoundaryError
from graphnn.run.arrays import PLAIN, Array, span
from graphnn.run.boundary import by_keyword
from graphnn.run.call import Call
from graphnn.run.manifest import Manifest


class Bound:
    """A call on arrays that are checked once: fill `inputs`, call it without arguments, read `outputs`.

    The result of each call is `outputs`, the same arrays. What the contents decide is looked at by each call: labels
    and indices in range, and promised distributions. The state is that of the Executable, as of each call. Two threads
    must not call one Bound at the same time: they would write the same outputs.
    """

    __slots__ = {  # noqa: RUF023
        "inputs": "The arrays that a call reads, by name.",
        "outputs": "What a call returns: the arrays that it writes, in the structure of the program's outputs.",
        "__call__": "Run on what `inputs` hold now and return `outputs`. Raises BoundaryError as the Executable does.",
        "_call": "",
        "_arrays": "",
        "__weakref__": "",
    }

    if TYPE_CHECKING:

        def __call__(self) -> Any: ...

    def __init__(self, call: Call, positional: tuple[Any, ...], inputs: Mapping[str, Any], out: Any) -> None:
        """Raises BoundaryError for what a call refuses, and for an input that it would have to copy."""
        manifest = call.manifest
        if positional:
            raise by_keyword(f"bind of program {manifest.name!r}", (spec.name for spec in manifest.inputs))
        for name, array in inputs.items():
            _require_in_place(manifest, name, array)
        arrays, resolved = call.boundary.admit(inputs)
        states = call.states()
        if manifest.updates:
            call.boundary.keep_apart(arrays, states)
        if out is None:
            made = {name: allocate() for name, allocate in resolved.allocators}
        else:
            made = call.boundary.admit_outputs(out, resolved, arrays, states)
        self.inputs: dict[str, Array] = {spec.name: inputs[spec.name] for spec in manifest.inputs}
        self.outputs: Any = manifest.outputs.gather(made)
        self._call = call
        self._arrays = [*arrays, *map(np.asarray, made.values())]  # subclasses as what their memory is
        setattr(self, "__call__", self._first)  # noqa: B010

    def _first(self, *arguments: Any, **keywords: Any) -> Any:
        """The first call, after which the program is known well enough for those that follow."""
        entry = self._call.ready()
        run = _Checked(self._call, self.inputs, self._arrays, self.outputs)
        result = run(*arguments, **keywords)
        known = None if entry is None else entry.known(self._call.boundary.resolve(run.shapes))
        native = entry.bound(run, known, self._arrays, self.outputs) if entry is not None and known is not None else run
        setattr(self, "__call__", native)  # noqa: B010
        return result

    def __repr__(self) -> str:
        arrays = ", ".join(f"{name}: {a.dtype}{list(a.shape)}" for name, a in self.inputs.items())
        return f"<bound call of {self._call.manifest.name}({arrays})>"

    def __reduce__(self) -> Any:
        raise TypeError("a bound call is not pickled: save the Executable, and bind again")


class _Checked:
    """A bound call by way of every check; it holds no Bound, so that nothing keeps itself alive."""

    def __init__(self, call: Call, inputs: Mapping[str, Any], arrays: list[Array], outputs: Any) -> None:
        self._call, self._inputs, self._arrays, self._outputs = call, inputs, arrays, outputs
        self._spans = list(map(span, arrays))
        self.shapes = tuple(array.shape for array in arrays[: len(inputs)])

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if arguments or keywords:
            raise BoundaryError("a bound call takes no arguments: fill its inputs, or bind other arrays")
        if self._spans != list(map(span, self._arrays)):
            raise BoundaryError("a bound array was given other memory since it was bound; bind again")
        self._call.run(out=self._outputs, **self._inputs)
        return self._outputs


def _require_in_place(manifest: Manifest, name: str, array: Any) -> None:
    if not isinstance(array, np.ndarray) or np.asarray(array).flags.num & PLAIN != PLAIN:
        found = "strided or misaligned" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
        raise BoundaryError(
            f"bind of program {manifest.name!r}: {name} is {found} and would be copied, so that a call could not see "
            "what is written to it; bind np.ascontiguousarray(...) of it"
        )
