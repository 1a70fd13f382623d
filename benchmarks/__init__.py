"""What tracking costs, measured: `python -m benchmarks` (or `make bench`) prints one table."""
