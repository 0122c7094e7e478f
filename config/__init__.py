"""Settings, error families, error codes and logging: what every other package may import.

The shipped YAML stands here too: `motet.yaml`, `models.yaml`, `indexes.yaml`, `profiles.yaml`.
"""
