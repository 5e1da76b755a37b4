import pickle

import pytest

from gridtwin import metrics
from gridtwin.core import errors
from gridtwin.core.executor import Executor


def test_unknown_name_names_the_nearest_else_all():
    assert str(errors.UnknownNameError("model", "tarce", ["trace", "smote"])) == (
        "unknown model 'tarce'; did you mean 'trace'?"
    )
    assert str(errors.UnknownNameError("model", "xyz", ["trace", "smote"])) == (
        "unknown model 'xyz'; known: smote, trace"
    )


def test_missing_extra_says_what_to_install():
    text = str(errors.MissingExtraError("models.tabddpm", "PyTorch", "torch"))
    assert text == "models.tabddpm needs PyTorch: pip install 'gridtwin[torch]'"


@pytest.mark.parametrize("name", errors.__all__)
def test_one_tree(name):
    assert issubclass(getattr(errors, name), errors.GridtwinError)


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("InputError", ValueError),
        ("FormatError", ValueError),
        ("SchemaError", ValueError),
        ("UnknownNameError", LookupError),
        ("MissingExtraError", ImportError),
        ("NotFittedError", RuntimeError),
    ],
)
def test_errors_are_builtin_errors_too(name, builtin):
    assert issubclass(getattr(errors, name), builtin)


@pytest.mark.parametrize(
    "error",
    [
        errors.UnknownNameError("model", "tarce", ["trace", "smote"]),
        errors.MissingExtraError("models.tabddpm", "PyTorch", "torch"),
        errors.InputError("no jobs"),
    ],
)
def test_errors_are_the_same_after_pickling(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)


def test_an_unknown_name_is_told_across_processes():
    with pytest.raises(errors.UnknownNameError, match="did you mean 'wait_easy'"):
        list(Executor("processes", 1).map(metrics.get, ["wait_esy"]))
