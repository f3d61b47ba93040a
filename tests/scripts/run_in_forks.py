"""Run each statement of a JSON list in a process of its own; prints what failed, as JSON.

The processes are forks of this one, in which only the standard library and psutil are
loaded: so each takes a fraction of what a new interpreter would. Where there is no fork
each gets a new interpreter.
"""

import asyncio
import collections.abc
import concurrent.futures
import ctypes
import dataclasses
import importlib.metadata
import json
import logging
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import traceback
import typing
import warnings

import psutil

LOADED = (asyncio, collections.abc, concurrent.futures, ctypes, dataclasses, importlib.metadata,
          logging, sqlite3, statistics, tempfile, typing, psutil)  # fmt: skip


def run_in_fork(statement):
    """Give what went wrong; "" for nothing."""
    with tempfile.TemporaryFile("w+") as told:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.dup2(told.fileno(), 2)
                warnings.simplefilter("error")
                exec(statement, {"__name__": "__main__"})
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        _, status = os.waitpid(child, 0)
        told.seek(0)
        said = told.read()
    return said if status == 0 else said or f"ended with {status}"


def run_anew(statement):
    """Do the same in a new interpreter."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", statement],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr if done.returncode == 0 else done.stderr or f"ended with {done.returncode}"


run = run_in_fork if hasattr(os, "fork") else run_anew
assert not any(name.startswith("memguard") for name in sys.modules)
found = {statement: run(statement) for statement in json.load(sys.stdin)}
print(json.dumps({statement: said for statement, said in found.items() if said}))
