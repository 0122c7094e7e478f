"""Settings, error families and logging: what every other package may import."""
