"""From files of others, and from shape tables, to workloads."""

from hwsim.workload.importers.imports import import_file

__all__ = ["import_file"]
