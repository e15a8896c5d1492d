"""Real clients submit mail over STARTTLS and over TLS from the first byte, with AUTH PLAIN and LOGIN, to a mailbox here and to the remote
server through DNS MX."""
import base64
import email.message
import json
import os
import shutil
import smtplib
import ssl
import subprocess
import uuid

import pytest

from lab import postrider as lab_postrider
from lab.wire import Wire

USER, PASSWORD = "joe@here.example", "joe's pass word"


@pytest.fixture(scope="module")
def here(lab, authority, dns, postfix):
    server = lab_postrider.Postrider(lab, authority, dns, accounts={"joe": PASSWORD, "ann": "änns-Paßwort"})
    yield server
    server.stop()


class Letter:
    """What a test sends: to ann here and to somebody at the remote server; unique by its subject."""

    def __init__(self, tmp_path):
        self.tmp = tmp_path
        self.subject = f"Hello {uuid.uuid4().hex[:12]}"
        self.here = "ann@here.example"
        self.remote = f"bob-{uuid.uuid4().hex[:8]}@remote.example"
        self.body = "First line\r\n.a line with a dot in front\r\n..two\r\nfrom the start, ünïcode\r\n\r\nthe end\r\n"

    def file(self):
        path = self.tmp / "letter.eml"
        path.write_bytes((f"From: Joe <{USER}>\r\nTo: {self.here}, {self.remote}\r\nSubject: {self.subject}\r\nMIME-Version: 1.0\r\n"
                          "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + self.body).encode())
        return str(path)


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=240, stdin=subprocess.DEVNULL if "input" not in
                          more else None, **more)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def port_of(here, implicit):
    return here.submissions_port if implicit else here.submission_port


def send_swaks(here, letter, implicit, mechanism):
    for to in (letter.here, letter.remote):
        run(["swaks", "--server", here.ip, "--port", str(port_of(here, implicit)), "--tlsc" if implicit else "--tls", "--tls-verify",
             "--tls-ca-path", here.ca, "--auth", mechanism, "--auth-user", USER, "--auth-password", PASSWORD, "--from", USER, "--to", to,
             "--header", f"Subject: {letter.subject}", "--body", letter.body.replace("\r\n", "\\n"), "--suppress-data"])


def send_curl(here, letter, implicit, mechanism):
    run(["curl", "-sS", "--url", f"smtp{'s' if implicit else ''}://{here.ip}:{port_of(here, implicit)}/client.example", "--ssl-reqd",
         "--cacert", here.ca, "--user", f"{USER}:{PASSWORD}", "--login-options", f"AUTH={mechanism}", "--mail-from", USER, "--mail-rcpt",
         letter.here, "--mail-rcpt", letter.remote, "--upload-file", letter.file()])


def send_msmtp(here, letter, implicit, mechanism):
    rc = letter.tmp / "msmtprc"
    rc.write_text(f"""account default
host {here.ip}
port {port_of(here, implicit)}
tls on
tls_starttls {'off' if implicit else 'on'}
tls_trust_file {here.ca}
auth {mechanism.lower()}
user {USER}
password "{PASSWORD}"
from {USER}
""", encoding="utf-8")
    rc.chmod(0o600)
    with open(letter.file(), encoding="utf-8", newline="") as f:
        run(["msmtp", "-C", str(rc), letter.here, letter.remote], input=f.read())


def send_smtplib(here, letter, implicit, mechanism):
    context = ssl.create_default_context(cafile=here.ca)
    if implicit:
        client = smtplib.SMTP_SSL(here.ip, here.submissions_port, context=context)
    else:
        client = smtplib.SMTP(here.ip, here.submission_port)
        client.starttls(context=context)
    with client:
        client.user, client.password = USER, PASSWORD
        client.ehlo()
        client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
        with open(letter.file(), "rb") as f:
            client.sendmail(USER, [letter.here, letter.remote], f.read(), mail_options=["BODY=8BITMIME"])


NODE = """
const nodemailer = require("nodemailer"), o = JSON.parse(process.argv[1]), fs = require("fs");
const t = nodemailer.createTransport({host: o.host, port: o.port, secure: o.implicit, requireTLS: true, authMethod: o.mechanism,
  auth: {user: o.user, pass: o.password}, tls: {ca: [fs.readFileSync(o.ca)]}});
t.sendMail({from: o.user, to: o.to, subject: o.subject, text: o.body, html: "<p>Hello</p>",
  attachments: [{filename: "a.bin", content: Buffer.alloc(3000, 7)}]}).then(() => process.exit(0), e => { console.error(e); process.exit(1); });
"""


def send_nodemailer(here, letter, implicit, mechanism):
    options = {"host": here.ip, "port": port_of(here, implicit), "implicit": implicit, "mechanism": mechanism, "user": USER,
               "password": PASSWORD, "ca": here.ca, "to": [letter.here, letter.remote], "subject": letter.subject, "body": letter.body}
    run([shutil.which("node") or "nodejs", "-e", NODE, json.dumps(options)], env=dict(os.environ, NODE_PATH="/usr/share/nodejs"))


PHPMAILER = """<?php
require "/usr/share/php/libphp-phpmailer/autoload.php";
$o = json_decode(getenv("LETTER"), true);
$m = new PHPMailer\\PHPMailer\\PHPMailer(true);
$m->isSMTP(); $m->Host = $o["host"]; $m->Port = $o["port"]; $m->SMTPAuth = true; $m->AuthType = $o["mechanism"];
$m->SMTPSecure = $o["implicit"] ? "ssl" : "tls"; $m->Username = $o["user"]; $m->Password = $o["password"];
$m->SMTPOptions = ["ssl" => ["cafile" => $o["ca"]]]; $m->CharSet = "UTF-8";
$m->setFrom($o["user"], "Jöe"); foreach ($o["to"] as $to) $m->addAddress($to);
$m->Subject = $o["subject"]; $m->isHTML(true); $m->Body = "<p>" . $o["body"] . "</p>"; $m->AltBody = $o["body"];
$m->addStringAttachment(str_repeat("x", 2000), "x.txt");
$m->send();
"""


def send_phpmailer(here, letter, implicit, mechanism):
    script = letter.tmp / "send.php"
    script.write_text(PHPMAILER)
    options = {"host": here.ip, "port": port_of(here, implicit), "implicit": implicit, "mechanism": mechanism, "user": USER,
               "password": PASSWORD, "ca": here.ca, "to": [letter.here, letter.remote], "subject": letter.subject, "body": letter.body}
    run(["php", str(script)], env=dict(os.environ, LETTER=json.dumps(options)))


def send_git(here, letter, implicit, mechanism):
    repo = letter.tmp / "repo"
    env = dict(os.environ, HOME=str(letter.tmp), GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="Joe", GIT_AUTHOR_EMAIL=USER, GIT_COMMITTER_NAME="Joe",
               GIT_COMMITTER_EMAIL=USER)
    run(["git", "init", "-q", str(repo)], env=env)
    (repo / "file").write_text("content, ünïcode\n", encoding="utf-8")
    run(["git", "-C", str(repo), "add", "file"], env=env)
    run(["git", "-C", str(repo), "commit", "-q", "-m", letter.subject], env=env)
    run(["git", "-C", str(repo), "send-email", "--quiet", "--confirm=never", "--from", USER, "--to", letter.here, "--to", letter.remote,
         f"--smtp-server={here.ip}", f"--smtp-server-port={port_of(here, implicit)}", f"--smtp-encryption={'ssl' if implicit else 'tls'}",
         f"--smtp-user={USER}", f"--smtp-pass={PASSWORD}", f"--smtp-auth={mechanism}", f"--smtp-ssl-cert-path={here.ca}",
         "--smtp-domain=client.example", "--8bit-encoding=UTF-8", "--subject-prefix=", "-1"], env=env)


CLIENTS = {"swaks": send_swaks, "curl": send_curl, "msmtp": send_msmtp, "smtplib": send_smtplib, "nodemailer": send_nodemailer,
           "phpmailer": send_phpmailer, "git-send-email": send_git}


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "tls"])
@pytest.mark.parametrize("client", CLIENTS)
def test_client_submits(client, implicit, mechanism, here, postfix, tmp_path):
    letter = Letter(tmp_path)
    CLIENTS[client](here, letter, implicit, mechanism)
    [mine] = here.wait_mail(letter.here, subject=letter.subject)
    [theirs] = postfix.wait_mail(letter.remote)
    assert str(theirs["Subject"]) == letter.subject
    for mail in (mine, theirs):
        assert mail["Message-ID"] and mail["Date"], "submission adds what is missing (RFC 6409 §8)"
        assert not mail.defects, mail.defects
        assert "ESMTPSA" in " ".join(mail.get_all("Received"))
    if client in ("curl", "msmtp", "smtplib"):
        assert mine.get_content() == letter.body.replace("\r\n", "\n")
        assert theirs.get_content() == letter.body.replace("\r\n", "\n")
    assert mine.raw.startswith(b"Return-Path: <joe@here.example>")


def test_php_mail_and_sendmail(here, postfix, tmp_path):
    """PHP's mail() calls what sendmail_path names: our program, under its old name."""
    link = tmp_path / "sendmail"
    link.symlink_to(lab_postrider.BINARY)
    letter = Letter(tmp_path)
    script = tmp_path / "mail.php"
    script.write_text('<?php exit(mail(getenv("TO"), getenv("SUBJECT"), "Hello from PHP\\n.\\nand after the dot\\n", '
                      '"From: joe@here.example\\r\\nBcc: ann@here.example", "-fjoe@here.example") ? 0 : 1);')
    run(["php", "-d", f"sendmail_path={link} -t -i", str(script)],
        env=dict(os.environ, POSTRIDER_CONFIG=here.config, TO=letter.remote, SUBJECT=letter.subject))
    [theirs] = postfix.wait_mail(letter.remote)
    [mine] = here.wait_mail("ann", subject=letter.subject)
    assert theirs["Bcc"] is None and mine["Bcc"] is None
    assert theirs.get_payload().replace("\r\n", "\n").rstrip("\n") == "Hello from PHP\n.\nand after the dot"  # PHP adds an empty line
    assert str(theirs["Return-Path"]) == "<joe@here.example>"


def test_password_wrong_and_refused_senders(here):
    with smtplib.SMTP(here.ip, here.submission_port) as client:
        client.ehlo("client.example")
        assert "auth" not in client.esmtp_features, "no login without TLS"
        with pytest.raises(smtplib.SMTPNotSupportedError):
            client.login(USER, PASSWORD)
        code, text = client.docmd("AUTH PLAIN " + base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode())
        assert code in (530, 538, 502, 503, 504), text
        client.starttls(context=ssl.create_default_context(cafile=here.ca))
        client.ehlo("client.example")
        assert {"PLAIN", "LOGIN"} <= set(client.esmtp_features["auth"].split())
        assert client.docmd("MAIL FROM:<joe@here.example>")[0] == 530
        with pytest.raises(smtplib.SMTPAuthenticationError) as wrong:
            client.login(USER, "wrong")
        assert wrong.value.smtp_code == 535 and wrong.value.smtp_error.startswith(b"5.7.8")
        with pytest.raises(smtplib.SMTPAuthenticationError) as unknown:
            client.login("nobody@here.example", "wrong")
        assert unknown.value.smtp_code == 535
    with Wire(here.ip, here.submission_port) as wire:
        wire.hello()
        wire.starttls()
        wire.login("ann@here.example", "änns-Paßwort")  # smtplib can't: passwords are UTF-8 (RFC 4616 §2)
    assert "pass word" not in here.log_text() and "Paßwort" not in here.log_text()


def test_postrider_send(here, postfix, tmp_path):
    """Our own small mail client, with text, HTML and an attachment."""
    letter = Letter(tmp_path)
    picture = tmp_path / "böx.png"
    picture.write_bytes(bytes(range(256)) * 300)
    words = here.cli("send", "--help").stdout
    for option in ("--server", "--from", "--to", "--subject", "--text", "--html", "--attach", "--login", "--password-file", "--ca-file"):
        assert option in words, f"{option} is not in\n{words}"
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    done = subprocess.run([lab_postrider.BINARY, "send", "--server", f"{here.ip}:{here.submission_port}", "--login", USER, "--password-file",
                           str(password), "--ca-file", here.ca, "--from", f"Jöe <{USER}>", "--to", letter.remote, "--subject",
                           letter.subject + " ünï", "--text", "Grüße\n.\n", "--html", "<b>Grüße</b>", "--attach", str(picture)],
                          capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    [mail] = postfix.wait_mail(letter.remote)
    assert str(mail["Subject"]) == letter.subject + " ünï"
    assert mail["From"].addresses[0].display_name == "Jöe"
    assert mail.get_body(("plain",)).get_content().replace("\r\n", "\n") == "Grüße\n.\n"
    assert mail.get_body(("html",)).get_content().strip() == "<b>Grüße</b>"
    [attachment] = mail.iter_attachments()
    assert attachment.get_filename() == "böx.png" and attachment.get_content() == picture.read_bytes()
    assert isinstance(mail, email.message.EmailMessage) and not mail.defects
