"""The studio: the only room that imports TensorFlow or Keras. It turns a prepared data set into a bundle."""
