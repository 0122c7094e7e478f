"""Whose a server without keys is: the one place that names its tenant.

Who calls with which key is `http.access`'.
"""

LOCAL_TENANT = "default"
"""The tenant of all callers of such a server, and of what `indexes.yaml` declares."""
