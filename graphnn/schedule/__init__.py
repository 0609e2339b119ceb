"""From naive loop nests to scheduled ones, and from those to a plan of their memory.

    ir.Program --schedule--> ir.Program --plan--> MemoryPlan

`passes.py` lists the passes in order; `memory.py` plans the arena and is all that a loaded Executable needs.
"""

from graphnn.schedule.machine import Machine
from graphnn.schedule.passes import PASSES, schedule

__all__ = ["PASSES", "Machine", "schedule"]
