"""The small sets in scikit-learn's wheel."""

import backlit.data
from backlit.train.tasks.task import Task, from_labelled


def digits(validation: float = 0.1, test: float = 0.2, seed: int = 0) -> Task:
    """1,797 handwritten digits of 8 px; options as `backlit.data.digits`."""
    return from_labelled(backlit.data.digits(validation, test, seed))


def wine(validation: float = 0.15, test: float = 0.2, seed: int = 0) -> Task:
    """178 wines by 13 figures; options as `backlit.data.wine`."""
    return from_labelled(backlit.data.wine(validation, test, seed))
