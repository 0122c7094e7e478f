"""Crawls: the pages of a site, bounded and polite, each one a document."""
