"""What routes share: how requests are read and how answers are given.

- `access`: who calls, and for which tenant
- `audit`: who changed or was refused what
- `origins`, `limits`: middleware that refuses web pages of other sites, and large bodies
- `machine_paths`: which files and folders of the server a request may name
- `bodies`: JSON read strictly; `run_bodies`, `ingest_requests`, `uploads`: bodies with files
- `openapi`: descriptions of bodies that routes read themselves
- `responses`: JSON; `run_responses`: a run, streamed or waited for
- `sse`: server-sent events; `progress`: long work as events
- `application`, `security_headers`: what every answer has; `api_page`: the page at `/docs`
- `conditional`, `paths`: HEAD, entity tags, slashes at the end; `negotiation`: JSON or events
- `content_coding`: bodies in gzip; `files`: stored files and their ranges
- `protocol`: what the HTTP server refuses before the application
- `errors`: every failure in one envelope, with the status of its family

Nothing here knows a route, an application or the command line.
"""
