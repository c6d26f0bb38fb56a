"""datadiet: put a dataset, or a model, on a diet and prove that nothing of worth was lost."""

__version__ = "0.1.0"
