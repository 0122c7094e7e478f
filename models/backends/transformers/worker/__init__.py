"""The workers' side: torch and transformers are imported here alone."""
