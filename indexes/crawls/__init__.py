"""Crawls: the pages of a site, bounded and polite, each one a document.

- `crawls`: starts crawls and resumes them; `visitor`: goes from page to page
- `frontier`: which addresses are still to visit; `decisions`: addresses, links, robots, site maps
- `polite_fetcher`: robots.txt and pauses
"""
