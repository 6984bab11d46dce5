"""The stages of training, one module each: how a phase sets up loss and optimizer, and how it trains one epoch."""
