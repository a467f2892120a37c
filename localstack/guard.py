"""Become another program that dies with the process that started it: `guard.py PARENT SIGNAL USER COMMAND...`.

Run as a script of its own, because the kernel keeps "tell me when my parent dies" across exec but not across a
change of user, and because code between fork and exec may deadlock in a parent that has threads.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(parent: str, signal_number: str, user: str, *command: str) -> None:
    if user:
        uid, gid = (int(part) for part in user.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal_number))
    if os.getppid() != int(parent):
        sys.exit("the starting process died before its child was under way")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
