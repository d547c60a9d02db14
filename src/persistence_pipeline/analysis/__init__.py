"""The analysis of a study: numpy, scipy and pandas only."""
