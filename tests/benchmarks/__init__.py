"""The pure parts of benchmarks that judge what models wrote."""
