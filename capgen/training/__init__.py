"""Training: turns a prepared data set into a bundle. This is the only package that imports TensorFlow, Keras or JAX."""
