"""Running what users wrote: functions of their tools, and nodes of their Python graphs.

guard           what such code may raise
importing       how long its files may take to be imported
threads         its plain functions, in threads apart; executor: what it hands to the loop's own
time_limit      bounds on time that stand still while it waits for a thread
"""
