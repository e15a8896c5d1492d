#!/usr/bin/python3
"""Signs and verifies with python3-dkim (dkimpy) for src/mailauth/*_interop_test.c.

Requests on standard input are a line `COMMAND ARGUMENT... LENGTH` with LENGTH bytes behind it; each is answered by a line `WORD LENGTH` and
LENGTH bytes. Debian's own Python runs it, since that is where the package lives.

  record NAME        the bytes are the TXT record at that name
  key ALGORITHM      the bytes are the private key to sign with (rsa-sha256: PEM; ed25519-sha256: base64)
  verify INDEX       the bytes are a message; is its signature of that number valid? answered `yes` or `no`, with what was wrong
  sign ALGORITHM SELECTOR DOMAIN HEADER BODY WITH_LENGTH     the bytes are a message; answered `signed` and the field
  arc-verify         the bytes are a message; answered `pass`, `fail`, `none` or `ended`, with what was wrong
  arc-seal SELECTOR DOMAIN     the bytes are a message with an Authentication-Results of DOMAIN; answered `sealed` and the set
"""
import sys
from unittest import mock

try:
    import dkim
except ImportError:
    dkim = None

records, keys = {}, {}


def lookup(name, timeout=5):
    name = name.decode() if isinstance(name, bytes) else name
    return records.get(name.rstrip("."))


def answer(word, data=b""):
    sys.stdout.buffer.write(b"%s %d\n" % (word.encode(), len(data)) + data)
    sys.stdout.buffer.flush()


def sign(data, algorithm, selector, domain, header, body, with_length):
    return dkim.sign(data, selector.encode(), domain.encode(), keys[algorithm], canonicalize=(header.encode(), body.encode()),
                     signature_algorithm=algorithm.encode(), length=with_length == "1")


def serve(command, arguments, data):
    if command == "record":
        records[arguments[0]] = data
        answer("done")
    elif command == "key":
        keys[arguments[0]] = data
        answer("done")
    elif command == "verify":
        try:
            valid = dkim.DKIM(data).verify(idx=int(arguments[0]), dnsfunc=lookup)
            answer("yes" if valid else "no")
        except dkim.DKIMException as e:
            answer("no", str(e).encode())
    elif command == "sign":
        answer("signed", sign(data, *arguments))
    elif command == "arc-verify":
        state, _, reason = dkim.ARC(data).verify(dnsfunc=lookup)
        answer((state or b"ended").decode(), str(reason).encode())
    elif command == "arc-seal":
        # It asks DNS by itself for the chain so far.
        with mock.patch("dkim.get_txt", lookup):
            fields = dkim.ARC(data).sign(arguments[0].encode(), arguments[1].encode(), keys["rsa-sha256"], arguments[1].encode())
        answer("sealed", b"".join(fields))
    else:
        answer("unknown")


def main():
    if dkim is None:
        answer("absent")
        return
    answer("ready")
    for line in sys.stdin.buffer:
        command, *arguments, length = line.decode().split()
        serve(command, arguments, sys.stdin.buffer.read(int(length)))


main()
