"""What runs in the processes that are timed; those of rivals are run by another Python."""
