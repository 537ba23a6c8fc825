"""Which subtask of its stage an operator is."""

from pyflink.datastream import RuntimeContext


def subtask_of(context: RuntimeContext) -> int:
    """Return the subtask's number from 0. Thread mode's own way of asking raises; Java's task info answers."""
    return int(context._runtime_context.getTaskInfo().getIndexOfThisSubtask())
