"""How good a model's pictures are: the classifier, the figures, and the report."""
