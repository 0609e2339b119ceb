"""Ctrl-C while a step or an evaluation runs."""

import os
import signal
import threading

import pytest

from graphnn.nn.training.interrupt import Interrupts, wait_for


def test_an_interrupt_waits_for_the_end_of_a_step():
    before = signal.getsignal(signal.SIGINT)
    done = []

    def interrupted_step():
        with Interrupts() as interrupts, interrupts.step():
            os.kill(os.getpid(), signal.SIGINT)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        interrupted_step()
    assert done
    with pytest.raises(KeyboardInterrupt), Interrupts():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_does_not_wait_for_an_evaluation():
    release, started = threading.Event(), threading.Event()

    def evaluation():
        started.set()
        return release.wait(30)

    def interrupt():
        started.wait()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt), Interrupts():
        wait_for(evaluation)
    assert not release.is_set()
    release.set()
    assert wait_for(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        wait_for(lambda: 1 / 0)


def test_other_threads_leave_signals_alone():
    inside = []

    def enter():
        with Interrupts():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert inside == [signal.getsignal(signal.SIGINT)]


def test_an_interrupt_is_told_to_what_can_end_sooner():
    told = []
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts, interrupts.step(lambda: told.append(True)):
        os.kill(os.getpid(), signal.SIGINT)
    assert told == [True]
