"""Training runs: the loop, its log, the mean of models, calibration and export."""
