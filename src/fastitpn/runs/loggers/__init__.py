"""Where the rows of a run go beside `metrics.jsonl`, for the tools that people watch their trainings with."""
