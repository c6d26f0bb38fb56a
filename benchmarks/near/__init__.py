"""Near-duplicate pictures: data with planted copies, the tools to compare with, and how their answers are scored."""
