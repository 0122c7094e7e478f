"""Quality: from which score on an index answers, and how well it does."""
