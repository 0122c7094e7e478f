"""Every model of an installation: found, loaded one beside the other, leased, unloaded.

manager       `Models`, which the other packages use; it wires the parts
lease         the right to use a model, and the protocol of who gives it
leasing       from a name to a lease
executor      carries out what the scheduler decides; owns what is loaded
pending_grants, preloading, catalog_update, estimates_file   parts of these
driver        what a back end offers; `driver_cache` has those built so far
events        the log of what happens to models; `report` states what there is
availability, fallbacks   why a model cannot be had, and what the one that stands in says then
similarity, refusal   what users of leases share: cosines, and the words of an answer not found

scheduling/   decides what is loaded where and who gets it, without I/O
catalog/      what is declared, and what a name stands for
capabilities/ what a leased model can do
backends/     one driver each, with their workers
workers/      processes of ours that hold one model each
servers/      servers of others that run as processes or containers
devices/      the GPUs and the memory of this machine
pulls/        getting models onto this machine
text/         where the sentences of a text are, and how many tokens it takes
"""
