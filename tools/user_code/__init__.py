"""Running what users wrote: functions of their tools, and nodes of their Python graphs.

What such code raises is `guard`'s matter.
"""
