"""What the smaller commands do: check, new, doctor."""
