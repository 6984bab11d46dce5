"""What runs a captioner's model, one module a backend."""
