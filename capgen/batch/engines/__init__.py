"""Where the work of a job is done, one module an engine."""
