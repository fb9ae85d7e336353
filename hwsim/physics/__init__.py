"""Device laws and the electrical solution of arrays: everything here is computed before the run and remembered."""
