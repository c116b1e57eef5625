"""How an image is made worse: lists of operators with drawn parameters, and their replay."""
