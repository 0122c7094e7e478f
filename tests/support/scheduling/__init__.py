"""A scheduler driven by hand, at random, and in running time.

`harness` obeys the scheduler's effects and asserts that each was allowed; `random_history` does
whatever may happen to it in any order; `running_time` lets requests come at a rate."""
