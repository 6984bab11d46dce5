"""capgen: prepare a captioned image data set, train an LSTM captioner on it, evaluate it, and caption photographs."""

__version__ = "0.1.0"
