"""Getting models onto this machine: jobs that are tracked, cancelled, resumed."""

from models.pulls.job import PullJob, PullState
from models.pulls.puller import Puller
from models.pulls.pulls import Pulls

__all__ = ["PullJob", "PullState", "Puller", "Pulls"]
