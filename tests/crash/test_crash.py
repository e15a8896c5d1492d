"""The crash test in short; `make crash` runs it with 200 rounds, or as many as ROUNDS says."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import crash  # noqa: E402


def test_ten_kills():
    assert crash.run(10, clients=4)
