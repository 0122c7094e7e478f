"""Running what users wrote: functions of their tools, and nodes of their Python graphs.

guard           what such code may raise; shield: what follows from it is not cut off
importing       how long its files may take to be imported
threads         its plain functions, in threads apart; executor: what it hands to the loop's own
time_limit      bounds on time that stand still while it waits for a thread; ending: how long it
                may go on when it is to end
"""
