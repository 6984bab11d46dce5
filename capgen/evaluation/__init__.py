"""How good captions are: references, predictions, metrics, and the page that shows them."""
