"""The collector of cycles is off inside, and afterwards as it was."""

import gc

import pytest

from graphnn.collector import collector_paused


@pytest.mark.parametrize("enabled", [True, False])
def test_it_is_as_before_also_after_an_error(enabled):
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with collector_paused():
            assert not gc.isenabled()
            with collector_paused():
                pass
            assert not gc.isenabled()
        assert gc.isenabled() is enabled
        with pytest.raises(KeyError), collector_paused():
            raise KeyError
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
