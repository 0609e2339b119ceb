"""The pool of workers as LLVM text: POSIX threads that spin for a while and then sleep.

    graphnn_pool_reset()                            no workers, nobody in a region
    graphnn_pool_run(function, context, threads)    function(barrier, context, thread, threads) in all of them, a region

The caller is thread 0. A region has fewer threads than it asked for where the system gives no more, and the caller's
alone where another is in its region. `barrier(threads)` is for all threads of a region.

A slot is a counter on which threads wait for a change: slot 0 counts barriers, slot k + 1 the regions of worker k.
Whoever waits looks SPINS times, then YIELDS times with the processor left to others in between (there may be more
threads than processors), and then sleeps on the slot's condition: it counts itself as a sleeper and looks again, all
under the slot's mutex; whoever changes the counter looks for sleepers after that, so one of the two sees the other.
A worker computes in the caller's floating-point modes (what happens to denormals), for the same bits.
Between two regions it is in this code and not in a program's, which may be unloaded then.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

from graphnn.run.threads import MOST

SPINS = 200  # some 40 us: longer than Python takes between two steps
YIELDS = 300


@dataclass(frozen=True, slots=True)
class _Machine:
    """What differs between processors: a hint while spinning, and how the rounding and denormal modes are moved."""

    declarations: str
    pause: str
    read_mode: str  # stores them to @mode
    set_mode: str  # and loads them from there


_X86 = _Machine(
    declarations="""\
declare void @llvm.x86.sse2.pause()
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)""",
    pause="call void @llvm.x86.sse2.pause()",
    read_mode="call void @llvm.x86.sse.stmxcsr(ptr @mode)",
    set_mode="call void @llvm.x86.sse.ldmxcsr(ptr @mode)",
)
_ARM = _Machine(
    declarations="""\
declare void @llvm.aarch64.hint(i32)
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)""",
    pause="call void @llvm.aarch64.hint(i32 1)",
    read_mode="""\
%mode = call i64 @llvm.aarch64.get.fpcr()
  store i64 %mode, ptr @mode""",
    set_mode="""\
%mode = load i64, ptr @mode
  call void @llvm.aarch64.set.fpcr(i64 %mode)""",
)
_MACHINES = {"x86_64": _X86, "aarch64": _ARM, "arm64": _ARM}


def pool_text(triple: str) -> str:
    """The module of the pool. Its symbols of the C library are those of POSIX threads."""
    machine = _MACHINES.get(triple.split("-", maxsplit=1)[0], _Machine("", "", "", ""))
    text = _TEXT
    for name, value in {
        "TRIPLE": triple,
        "MOST": str(MOST),
        "SPINS": str(SPINS),
        "YIELDS": str(YIELDS),
        "SETMASK": str(int(getattr(signal, "SIG_SETMASK", 0))),
        "DECLARATIONS": machine.declarations,
        "PAUSE": machine.pause,
        "READ_MODE": machine.read_mode,
        "SET_MODE": machine.set_mode,
    }.items():
        text = text.replace(f"<{name}>", value)
    return text


# Words of a slot: 0 the counter, 8 its sleepers, 9 the thread's number, 16 a mutex, 32 a condition (128 bytes each).
_TEXT = """\
source_filename = "graphnn_pool"
target triple = "<TRIPLE>"

%record = type [64 x i64]
@slots = internal global [<MOST> x %record] zeroinitializer, align 128
@busy = internal global i64 0, align 128
@arrived = internal global i64 0, align 128
@workers = internal global i64 0, align 128
@function = internal global ptr null
@context = internal global ptr null
@threads = internal global i64 0
@mode = internal global i64 0

declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(ptr)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sigfillset(ptr)
declare i32 @sched_yield()
<DECLARATIONS>

define internal void @clear(ptr %slot, i64 %number) {
entry:
  %sleepers = getelementptr i64, ptr %slot, i64 8
  %name = getelementptr i64, ptr %slot, i64 9
  %mutex = getelementptr i64, ptr %slot, i64 16
  %condition = getelementptr i64, ptr %slot, i64 32
  store i64 0, ptr %slot
  store i64 0, ptr %sleepers
  store i64 %number, ptr %name
  %a = call i32 @pthread_mutex_init(ptr %mutex, ptr null)
  %b = call i32 @pthread_cond_init(ptr %condition, ptr null)
  ret void
}

; Return once the counter is no longer %old.
define internal void @await(ptr %slot, i64 %old) {
entry:
  br label %spin
spin:
  %spins = phi i64 [0, %entry], [%more, %pause]
  %seen = load atomic i64, ptr %slot acquire, align 8
  %same = icmp eq i64 %seen, %old
  br i1 %same, label %pause, label %done
pause:
  <PAUSE>
  %more = add i64 %spins, 1
  %patient = icmp ult i64 %more, <SPINS>
  br i1 %patient, label %spin, label %polite
polite:
  %yields = phi i64 [0, %pause], [%again, %yield]
  %then = load atomic i64, ptr %slot acquire, align 8
  %unchanged = icmp eq i64 %then, %old
  br i1 %unchanged, label %yield, label %done
yield:
  %yielded = call i32 @sched_yield()
  %again = add i64 %yields, 1
  %willing = icmp ult i64 %again, <YIELDS>
  br i1 %willing, label %polite, label %tired
tired:
  %sleepers = getelementptr i64, ptr %slot, i64 8
  %mutex = getelementptr i64, ptr %slot, i64 16
  %condition = getelementptr i64, ptr %slot, i64 32
  %a = call i32 @pthread_mutex_lock(ptr %mutex)
  %b = atomicrmw add ptr %sleepers, i64 1 seq_cst
  br label %look
look:
  %now = load atomic i64, ptr %slot seq_cst, align 8
  %still = icmp eq i64 %now, %old
  br i1 %still, label %sleep, label %awake
sleep:
  %c = call i32 @pthread_cond_wait(ptr %condition, ptr %mutex)
  br label %look
awake:
  %d = atomicrmw sub ptr %sleepers, i64 1 seq_cst
  %e = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %done
done:
  ret void
}

; Add one to the counter and wake whoever sleeps on it. Only one thread at a time does so.
define internal void @advance(ptr %slot) {
entry:
  %old = load atomic i64, ptr %slot monotonic, align 8
  %new = add i64 %old, 1
  store atomic i64 %new, ptr %slot seq_cst, align 8
  %counter = getelementptr i64, ptr %slot, i64 8
  %sleepers = load atomic i64, ptr %counter seq_cst, align 8
  %none = icmp eq i64 %sleepers, 0
  br i1 %none, label %done, label %wake
wake:
  %mutex = getelementptr i64, ptr %slot, i64 16
  %condition = getelementptr i64, ptr %slot, i64 32
  %a = call i32 @pthread_mutex_lock(ptr %mutex)
  %b = call i32 @pthread_cond_broadcast(ptr %condition)
  %c = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %done
done:
  ret void
}

; The count is read before the arrival that lets the last one change it.
define internal void @barrier(i64 %threads) {
entry:
  %alone = icmp eq i64 %threads, 1
  br i1 %alone, label %done, label %arrive
arrive:
  %round = load atomic i64, ptr @slots acquire, align 8
  %before = atomicrmw add ptr @arrived, i64 1 seq_cst
  %count = add i64 %before, 1
  %last = icmp eq i64 %count, %threads
  br i1 %last, label %open, label %wait
open:
  store atomic i64 0, ptr @arrived monotonic, align 8
  call void @advance(ptr @slots)
  br label %done
wait:
  call void @await(ptr @slots, i64 %round)
  br label %done
done:
  ret void
}

define internal ptr @work(ptr %slot) {
entry:
  %name = getelementptr i64, ptr %slot, i64 9
  %number = load i64, ptr %name
  br label %next
next:
  %regions = phi i64 [0, %entry], [%count, %next]
  call void @await(ptr %slot, i64 %regions)
  %count = add i64 %regions, 1
  %function = load ptr, ptr @function
  %context = load ptr, ptr @context
  %threads = load i64, ptr @threads
  <SET_MODE>
  call void %function(ptr @barrier, ptr %context, i64 %number, i64 %threads)
  call void @barrier(i64 %threads)
  br label %next
}

; Start workers until there are %wanted. They take no signals: those are the threads' that Python knows.
define internal void @hire(i64 %wanted) {
entry:
  %all = alloca [128 x i8], align 16
  %old = alloca [128 x i8], align 16
  %thread = alloca ptr, align 8
  %first = load i64, ptr @workers
  %enough = icmp sge i64 %first, %wanted
  br i1 %enough, label %done, label %block
block:
  %a = call i32 @sigfillset(ptr %all)
  %b = call i32 @pthread_sigmask(i32 <SETMASK>, ptr %all, ptr %old)
  br label %more
more:
  %have = phi i64 [%first, %block], [%number, %hired]
  %number = add i64 %have, 1
  %slot = getelementptr %record, ptr @slots, i64 %number
  call void @clear(ptr %slot, i64 %number)
  %code = call i32 @pthread_create(ptr %thread, ptr null, ptr @work, ptr %slot)
  %ok = icmp eq i32 %code, 0
  br i1 %ok, label %hired, label %unblock
hired:
  %made = load ptr, ptr %thread
  %c = call i32 @pthread_detach(ptr %made)
  store i64 %number, ptr @workers
  %all.hired = icmp sge i64 %number, %wanted
  br i1 %all.hired, label %unblock, label %more
unblock:
  %d = call i32 @pthread_sigmask(i32 <SETMASK>, ptr %old, ptr null)
  br label %done
done:
  ret void
}

define void @graphnn_pool_reset() {
entry:
  call void @clear(ptr @slots, i64 0)
  store i64 0, ptr @busy
  store i64 0, ptr @arrived
  store i64 0, ptr @workers
  ret void
}

define void @graphnn_pool_run(ptr %function, ptr %context, i64 %wanted) {
entry:
  %attempt = cmpxchg ptr @busy, i64 0, i64 1 seq_cst seq_cst
  %free = extractvalue { i64, i1 } %attempt, 1
  br i1 %free, label %gather, label %alone
alone:
  call void %function(ptr @barrier, ptr %context, i64 0, i64 1)
  ret void
gather:
  %others = sub i64 %wanted, 1
  call void @hire(i64 %others)
  %hired = load i64, ptr @workers
  %few = icmp slt i64 %hired, %others
  %helpers = select i1 %few, i64 %hired, i64 %others
  %threads = add i64 %helpers, 1
  store ptr %function, ptr @function
  store ptr %context, ptr @context
  store i64 %threads, ptr @threads
  <READ_MODE>
  br label %call
call:
  %last = phi i64 [0, %gather], [%helper, %send]
  %left = icmp slt i64 %last, %helpers
  br i1 %left, label %send, label %run
send:
  %helper = add i64 %last, 1
  %slot = getelementptr %record, ptr @slots, i64 %helper
  call void @advance(ptr %slot)
  br label %call
run:
  call void %function(ptr @barrier, ptr %context, i64 0, i64 %threads)
  call void @barrier(i64 %threads)
  store atomic i64 0, ptr @busy seq_cst, align 8
  ret void
}
"""
