"""Which models are loaded, where, and who gets them: the pure part of `models`.

Nothing here waits, reads a clock or a file, or knows a back end: time, readings of devices and
reports are handed in, effects are returned. `models.executor` carries them out.

    scheduler         what can happen, and the decision tree of a pass: begin here
    transitions       every change of a slot's state, with its effects
    planning          where a model that is waited for goes, and what has to happen first
    eviction          whom to unload for it, whom to spare, and until when
    pressure          whom to unload when a device runs full by measurement
    placement         where a back end of ours could load a model at all

    slot, slots       one model's load, queue and back-off; all of them by name
    queue, tickets    in which order requests are served; who waits and who holds a lease
    backoff           how long a model that fails or crashes is refused
    ledger            what is reserved and free on each device
    requirement       the memory that a model takes
    memory_estimates  what models were measured to take
    usage             how often and for how long a model is used

    effects           what the executor is to do
    notices           what waiters are notified of, and what is published
    rejections        the errors that end a request

Why a model was unloaded: `scheduler` names the six causes, `eviction` and `pressure` choose the
victims. What a waiter is notified of: `scheduler` decides when, `notices` writes it.
"""
