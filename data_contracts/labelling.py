"""The file of rows that people are asked to label: which column says why a row is in it."""

# No contract has a column of that name: a leading underscore is graft's.
CHOSEN = "_chosen"
AT_RANDOM = "at random"
MOST_TELLING = "most telling"
