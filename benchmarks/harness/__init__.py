"""What the benchmarks share: typed options, rows that are kept, summaries, and timing in turns."""
