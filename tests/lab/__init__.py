"""The parts of a mail world on loopback: addresses of our own, DNS (Knot), a second mail server (Postfix), scripted peers, certificates, and
Postrider itself. Used by the end-to-end tests, the crash test, the benchmark and the demonstration. Python's standard library only."""
