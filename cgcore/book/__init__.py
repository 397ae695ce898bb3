"""From a notebook template to a page of the book: run with papermill, publish the page, build the HTML."""

from cgcore.book.build import build, check_values, make_book
from cgcore.book.parameters import check_parameters, read_parameters, typed_parameters
from cgcore.book.publish import publish
from cgcore.book.run import NotebookFailed, run_notebook

__all__ = [
    "NotebookFailed",
    "build",
    "check_parameters",
    "check_values",
    "make_book",
    "publish",
    "read_parameters",
    "run_notebook",
    "typed_parameters",
]
