"""Speed, work and memory of models, measured side by side; with labelled images also what each gets right."""
