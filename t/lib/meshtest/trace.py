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

TRACEME, SYSCALL, DETACH, SETOPTIONS = 0, 24, 17, 0x4200
SEIZE, INTERRUPT, SYSCALL_INFO = 0x4206, 0x4207, 0x420E
SYSGOOD, EXITKILL = 1, 1 << 20
ENTRY = 1

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
    """`born`: the process called allow() and is stopped by its exec."""

    def __init__(self, pid, born=False):
        self.pid = pid
        if born:
            self._wait()
            ptrace(SETOPTIONS, pid, 0, SYSGOOD | EXITKILL)
        else:
            ptrace(SEIZE, pid, 0, SYSGOOD | EXITKILL)
            ptrace(INTERRUPT, pid)
            self._wait()

    def _wait(self):
        """The signal that stopped it; None: it has ended."""
        pid, status = os.waitpid(self.pid, os.WUNTRACED)
        return os.WSTOPSIG(status) if os.WIFSTOPPED(status) else None

    def _call(self):
        """The number of the call that it is about to make; None: no entry."""
        info = ctypes.create_string_buffer(88)
        ptrace(SYSCALL_INFO, self.pid, len(info), ctypes.addressof(info))
        return struct.unpack_from("=Q", info, 24)[0] if info[0] == bytes([ENTRY]) else None

    def calls(self):
        """Lets it run and yields at each call's entry: True when it rests.
        Ends with the process."""
        deliver = 0
        while True:
            ptrace(SYSCALL, self.pid, 0, deliver)
            stopped = self._wait()
            if stopped is None:
                return
            deliver = 0
            if stopped == signal.SIGTRAP | 0x80:
                number = self._call()
                if number is not None:
                    yield number in WAITS
            elif stopped != signal.SIGTRAP:
                deliver = stopped

    def detach(self):
        """From a stop that calls() yielded."""
        with contextlib.suppress(ProcessLookupError):
            ptrace(DETACH, self.pid)
