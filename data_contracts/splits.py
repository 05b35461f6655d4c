"""What splits are called."""

TRAIN, VALIDATION, TEST = "train", "validation", "test"
# Those in domain, which every pipeline has; all others are named by the pipeline.
OWN_SPLITS = (TRAIN, VALIDATION, TEST)
# What a training has seen, so that no model is judged on it.
TRAINING_SPLITS = (TRAIN, VALIDATION)
# Splits of rows labelled since the first training, and held out of the next ones, are called so and by their window.
FRESH = "fresh_"
# The split of rows of a window that were labelled to tell how good its answers are.
AUDIT = "audit"
# The split of the rows of a window that is watched.
WINDOW = "window"
