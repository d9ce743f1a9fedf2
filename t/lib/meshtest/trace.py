# SPDX-License-Identifier: Apache-2.0
"""A process that we started, stopped at each of its system calls (ptrace).

What it leaves behind when it is killed is what is in its files then, and
those change between two system calls only by what it does in the first or by
a store to a mapping.  So to stop before every call is to see every state.
"""

import contextlib
import ctypes
import os
import platform
import signal
import struct
import time

TRACEME, SYSCALL, DETACH, SETOPTIONS = 0, 24, 17, 0x4200
EVENTMSG, SEIZE, INTERRUPT, SYSCALL_INFO = 0x4201, 0x4206, 0x4207, 0x420E
SYSGOOD, TRACECLONE, EXITKILL = 1, 8, 1 << 20
OPTIONS = SYSGOOD | TRACECLONE | EXITKILL
CLONE, ENTRY = 3, 1     # events
WALL = 0x40000000       # threads, too

# epoll_wait, epoll_pwait, epoll_pwait2: here our processes rest.
WAITS = {"x86_64": (232, 281, 441)}.get(platform.machine(), (22, 441))

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, pid, addr=0, data=0):
    if libc.ptrace(request, pid, addr, data) == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace {request:#x}: {os.strerror(error)}")


def allow():
    """Run in a child before exec: its parent traces it from there."""
    ptrace(TRACEME, 0)


class Trace:
    """`born`: the process called allow() and is stopped by its exec.  Threads
    that it makes are stopped at their calls as well."""

    def __init__(self, pid, born=False):
        self.pid = pid
        self.threads = []       # besides the first, whose number is the process's
        if born:
            os.waitpid(pid, 0)
            ptrace(SETOPTIONS, pid, 0, OPTIONS)
        else:
            ptrace(SEIZE, pid, 0, OPTIONS)
            ptrace(INTERRUPT, pid)
            os.waitpid(pid, 0)

    def _wait(self):
        """Who has stopped or ended, and how; not our other children."""
        while True:
            for tid in (self.pid, *self.threads):
                found, status = os.waitpid(tid, os.WNOHANG | WALL)
                if found:
                    return tid, status
            time.sleep(0.0001)

    def _call(self, tid):
        """The number of the call that it is about to make; None: no entry."""
        info = ctypes.create_string_buffer(88)
        ptrace(SYSCALL_INFO, tid, len(info), ctypes.addressof(info))
        return struct.unpack_from("=Q", info, 24)[0] if info[0] == bytes([ENTRY]) else None

    def _made(self, tid):
        made = ctypes.c_ulong()
        ptrace(EVENTMSG, tid, 0, ctypes.addressof(made))
        self.threads.append(made.value)

    def calls(self):
        """Lets it run and yields at each call's entry: True when it rests,
        with no thread that has something to do.  Ends with the process."""
        ptrace(SYSCALL, self.pid)
        while True:
            tid, status = self._wait()
            if not os.WIFSTOPPED(status):
                if tid == self.pid:
                    return
                self.threads.remove(tid)
                continue
            stopped, deliver = os.WSTOPSIG(status), 0
            if status >> 8 == signal.SIGTRAP | CLONE << 8:
                self._made(tid)
            elif stopped == signal.SIGTRAP | 0x80:
                number = self._call(tid)
                if number is not None:
                    yield number in WAITS and not self.threads
            elif stopped != signal.SIGTRAP and not status >> 16:
                deliver = stopped
            with contextlib.suppress(ProcessLookupError):
                ptrace(SYSCALL, tid, 0, deliver)

    def kill(self):
        """Its threads are ours to reap, or it would not be gone."""
        os.kill(self.pid, signal.SIGKILL)
        for tid in self.threads:
            with contextlib.suppress(ChildProcessError):
                while os.WIFSTOPPED(os.waitpid(tid, WALL)[1]):
                    pass

    def detach(self):
        """From a stop that calls() yielded, when it rests."""
        with contextlib.suppress(ProcessLookupError):
            ptrace(DETACH, self.pid)
