"""A certificate authority of the lab, and certificates from it, by the openssl program."""
import hashlib
import os
import subprocess


class Authority:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.ca = os.path.join(folder, "ca.pem")
        self.ca_key = os.path.join(folder, "ca.key")
        self.number = 0
        if not os.path.exists(self.ca):
            self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj",
                      "/CN=Postrider lab CA", "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
                      "keyUsage=critical,keyCertSign,cRLSign", "-keyout", self.ca_key, "-out", self.ca)

    @staticmethod
    def _run(*arguments):
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {' '.join(arguments)}: {done.stderr}")

    def issue(self, names, ips=()):
        """(certificate file, key file) for host names and addresses, signed by the lab's CA."""
        self.number += 1
        base = os.path.join(self.folder, f"{self.number}-{names[0]}")
        alternatives = ",".join([f"DNS:{n}" for n in names] + [f"IP:{i}" for i in ips])
        with open(base + ".ext", "w", encoding="ascii") as f:
            f.write(f"subjectAltName={alternatives}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
        self._run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={names[0]}",
                  "-keyout", base + ".key", "-out", base + ".csr")
        self._run("x509", "-req", "-in", base + ".csr", "-CA", self.ca, "-CAkey", self.ca_key, "-set_serial",
                  str(1000 + self.number), "-days", "365", "-extfile", base + ".ext", "-out", base + ".pem")
        os.chmod(base + ".key", 0o600)
        return base + ".pem", base + ".key"


def _der(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, input=data).stdout


def tlsa(certificate, usage=3, selector=1, matching=1):
    """The data of a TLSA record for a certificate file's first certificate."""
    if selector == 1:
        der = _der("pkey", "-pubin", "-outform", "DER", data=_der("x509", "-in", certificate, "-noout", "-pubkey"))
    else:
        der = _der("x509", "-in", certificate, "-outform", "DER")
    digest = {0: der.hex, 1: hashlib.sha256(der).hexdigest, 2: hashlib.sha512(der).hexdigest}[matching]()
    return f"{usage} {selector} {matching} {digest}"
