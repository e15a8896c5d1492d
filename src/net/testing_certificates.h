/* Certificates made for one test run, in a folder of their own. */
#ifndef NET_TESTING_CERTIFICATES_H
#define NET_TESTING_CERTIFICATES_H

/* Makes the folder with ca.pem, cert.pem (mail.example.test, 127.0.0.1; signed by ca) and key.pem, rsa.pem and
 * rsa-key.pem (the same name, another key type), other-ca.pem, locked-key.pem (passphrase), empty.pem and text.pem. Also with
 * key.pem: expired.pem (as cert.pem, but out of date), self.pem (signed by itself, for elsewhere.example.test), chain.pem (cert.pem, ca.pem), policy.pem
 * (mta-sts.one.test, … two.test, three.test, four.test). */
void certificates_make(void);
void certificates_remove(void);
/* The path of one of them. Borrowed until the fourth call after. */
const char *certificate_path(const char *name);

#endif
