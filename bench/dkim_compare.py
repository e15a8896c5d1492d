#!/usr/bin/env python3
"""DKIM signatures made and verified per second of CPU: ours beside OpenSSL's raw cost (bench/dkim_bench.c) and beside python3-dkim, in one run.

usage: bench/dkim_compare.py --build FOLDER [--rounds N]

RSA-2048 over a message of 4 KiB. At the end one line per ratio: dkim-… ours divided by OpenSSL's, dkim-…-python ours divided by python3-dkim's.
"""
import argparse
import base64
import os
import re
import subprocess
import sys
import time

BODY = b"".join(b"line %d of a message as it is, with some words in it\r\n" % n for n in range(75))
HEAD = (b"From: Anna <anna@example.com>\r\nTo: Bob <bob@example.net>\r\nSubject: a message of four KiB\r\n"
        b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n\r\n")


def rate(work, seconds):
    """How often per second of CPU."""
    count, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        work()
        count += 1
    return count / (time.process_time() - start)


def python_rates(seconds):
    import dkim
    key = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], check=True, capture_output=True).stdout
    public = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"], input=key, check=True, capture_output=True).stdout
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)

    def sign():
        return dkim.sign(HEAD + BODY, b"s1", b"example.com", key, canonicalize=(b"relaxed", b"relaxed"))

    message = sign() + HEAD + BODY
    assert dkim.verify(message, dnsfunc=lambda *_, **__: record), "python3-dkim does not verify its own signature"
    return rate(sign, seconds), rate(lambda: dkim.verify(message, dnsfunc=lambda *_, **__: record), seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    text = subprocess.run([os.path.join(arguments.build, "src", "dkim_bench"), str(arguments.rounds)], check=True, capture_output=True,
                          text=True).stdout
    print(text, end="")
    row = re.search(r"^rsa2048-4k\s+(\d+)\s+(\d+)\s+\d+%\s+(\d+)\s+(\d+)", text, re.M)
    if row is None:
        sys.exit("bench: dkim_bench printed no row for rsa2048-4k")
    try:
        signed, verified = python_rates(2)
    except ImportError:
        print("bench: python3-dkim is not here; only OpenSSL is compared with")
        return
    print(f"{'python3-dkim':12} {'':10} {signed:10.0f} {'':5} {'':10} {verified:10.0f}")
    print(f"RATIO dkim-sign-python {int(row[2]) / signed:.2f}")
    print(f"RATIO dkim-verify-python {int(row[4]) / verified:.2f}")


main()
