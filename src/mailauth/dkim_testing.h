/* What the tests of DKIM share: keys, a small DNS, and messages through verifier and signer. Included by tests only. */
#ifndef MAILAUTH_DKIM_TESTING_H
#define MAILAUTH_DKIM_TESTING_H

#include "mailauth/dkim.h"
#include "mailauth/dkim_record.h"
#include "mailauth/dkim_sign.h"
#include "mail/header.h"

#include <stdlib.h>
#include <string.h>

enum { TESTING_RECORDS_MAX = 16 };

/* One published record. `text` NULL: no answer can be had. */
struct testing_record {
	const char *name, *text;
};

static inline void testing_must(bool ok)
{
	if (!ok)
		abort();
}

/* All records of the name, in order; NXDOMAIN if there are none. */
static inline void testing_answer(struct dkim_verifier *verifier, const struct dkim_need *need,
	const struct testing_record *records, size_t count)
{
	struct dns_record found[TESTING_RECORDS_MAX];
	struct dns_answer answer = { .records = found };
	enum dkim_dns_status status = DKIM_DNS_NXDOMAIN;
	for (size_t i = 0; i < count; i++) {
		if (!view_eq(view_from_cstr(records[i].name), need->name))
			continue;
		status = records[i].text != NULL ? DKIM_DNS_OK : DKIM_DNS_FAILED;
		if (records[i].text == NULL || answer.record_count == TESTING_RECORDS_MAX)
			break;
		found[answer.record_count++] = (struct dns_record){ .type = DNS_TYPE_TXT,
			.data = view_from_cstr(records[i].text) };
	}
	testing_must(dkim_verifier_answer(verifier, need->token, status, &answer) == ERR_OK);
}

static inline void testing_answer_all(
	struct dkim_verifier *verifier, const struct testing_record *records, size_t count)
{
	struct dkim_need need;
	while (dkim_verifier_next(verifier, &need))
		testing_answer(verifier, &need, records, count);
}

static inline struct view testing_body(struct view message)
{
	return view_from(message, header_section_length(message));
}

/* A whole message through a verifier, its body in pieces of `step` bytes (0: at once). Whoever called frees it. */
static inline struct dkim_verifier *testing_verify(const struct dkim_verify_options *options, struct view message,
	size_t step, const struct testing_record *records, size_t count)
{
	struct dkim_verifier *verifier = dkim_verifier_new(options);
	struct view body = testing_body(message);
	testing_must(dkim_verifier_headers(verifier, message) == ERR_OK);
	testing_answer_all(verifier, records, count);
	for (size_t at = 0; at<body.len; at += step> 0 ? step : body.len)
		testing_must(dkim_verifier_body(verifier, view_sub(body, at, step > 0 ? step : body.len)) == ERR_OK);
	testing_must(dkim_verifier_end(verifier) == ERR_OK);
	testing_must(dkim_verifier_is_done(verifier));
	return verifier;
}

static inline size_t testing_passes(const struct dkim_verifier *verifier)
{
	size_t passes = 0;
	struct dkim_signature signature;
	for (size_t i = 0; i < dkim_verifier_count(verifier); i++)
		passes += dkim_verifier_result(verifier, i, &signature) && signature.result == DKIM_PASS;
	return passes;
}

/* The message with its signatures on top; the error of the header section if that refuses. */
static inline enum err testing_sign(
	const struct dkim_sign_options *options, struct view message, size_t step, struct buf *out)
{
	struct dkim_signer *signer = NULL;
	struct view body = testing_body(message);
	enum err err = dkim_signer_new(options, &signer);
	if (err == ERR_OK)
		err = dkim_signer_headers(signer, message);
	for (size_t at = 0; err == ERR_OK && at<body.len; at += step> 0 ? step : body.len)
		err = dkim_signer_body(signer, view_sub(body, at, step > 0 ? step : body.len));
	if (err == ERR_OK)
		err = dkim_signer_finish(signer, out);
	if (err == ERR_OK)
		err = buf_append(out, message);
	dkim_signer_free(signer);
	return err;
}

/* Every line end as CRLF. */
static inline void testing_crlf(struct view text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\n' && (i == 0 || text.ptr[i - 1] != '\r'))
			testing_must(buf_append_byte(out, '\r') == ERR_OK);
		testing_must(buf_append_byte(out, text.ptr[i]) == ERR_OK);
	}
}

/* Keys of RFC 8463 A.2 (Ed25519; the RSA key's public half), as published. */
#define TESTING_ED25519_RECORD "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define TESTING_ED25519_SEED "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
#define TESTING_RSA_RECORD                                                                                             \
	"v=DKIM1; k=rsa; "                                                                                             \
	"p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/"      \
	"byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/"     \
	"K4w3QIDAQAB"

#endif
