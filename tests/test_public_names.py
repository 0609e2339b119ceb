"""The names of the package."""

import pytest

import graphnn as gn


@pytest.mark.parametrize(("name", "meant"), [("sigmiod", "sigmoid"), ("Adm", "Adam"), ("compille", "compile")])
def test_a_misspelt_name_is_recognised(name, meant):
    with pytest.raises(AttributeError, match=f"module 'graphnn' has no attribute '{name}'; did you mean .*{meant}"):
        getattr(gn, name)


def test_a_name_like_no_other_suggests_nothing():
    with pytest.raises(AttributeError, match=r"^module 'graphnn' has no attribute 'zzzzzz'$"):
        gn.zzzzzz  # noqa: B018 - the access is what raises


def test_every_name_that_is_listed_exists():
    assert [name for name in dir(gn) if not hasattr(gn, name)] == []
    assert {"sigmoid", "Trainer", "models"} <= set(dir(gn))
