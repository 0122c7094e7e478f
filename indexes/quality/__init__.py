"""Quality: from which score on an index answers, and how well it does.

questions     a person's questions, read from a file
generated     questions made of the index's own passages
scoring       asking them; searching accepts none but whole answers
calibrator    chooses the threshold by them (thresholds), calibration stores it
evaluation    measures recall, rank and answers by them
"""
