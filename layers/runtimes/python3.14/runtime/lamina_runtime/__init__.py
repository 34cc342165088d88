"""The managed Python runtime."""
