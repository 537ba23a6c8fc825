"""Which subtask of its stage an operator is, and of which job. Thread mode's own ways of asking raise; Java's infos answer."""

from pyflink.datastream import RuntimeContext


def subtask_of(context: RuntimeContext) -> int:
    """Return the subtask's number from 0."""
    return int(context._runtime_context.getTaskInfo().getIndexOfThisSubtask())


def job_of(context: RuntimeContext) -> str:
    """Return Flink's id of the job, 32 hexadecimal digits."""
    return str(context._runtime_context.getJobInfo().getJobId().toHexString())
