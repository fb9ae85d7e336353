"""YAML files read so that every value knows its file, line and column."""
