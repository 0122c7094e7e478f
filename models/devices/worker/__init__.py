"""Looks for GPUs, in a process of its own: drivers may hang, crash, print, or keep memory."""
