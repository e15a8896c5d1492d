/* What the tests of ARC share: messages through verifier and sealer. Included by tests only. */
#ifndef MAILAUTH_ARC_TESTING_H
#define MAILAUTH_ARC_TESTING_H

#include "mailauth/arc_seal.h"
#include "mailauth/dkim_testing.h"

/* A whole message through a verifier, its body in pieces of `step` bytes (0: at once); every name has these records, none: no answer. Whoever called
 * frees it. */
static inline struct arc_verifier *testing_arc_verify(
	struct view message, uint64_t now_s, size_t step, const char *const *texts, size_t count)
{
	struct dkim_verify_options options = { .now_s = now_s };
	struct arc_verifier *verifier = arc_verifier_new(&options);
	struct view body = testing_body(message);
	struct dns_record records[4];
	struct dns_answer answer = { .records = records };
	struct dkim_need need;
	testing_must(count <= 4);
	for (; answer.record_count < count; answer.record_count++)
		records[answer.record_count] = (struct dns_record){ .type = DNS_TYPE_TXT,
			.data = view_from_cstr(texts[answer.record_count]) };
	testing_must(arc_verifier_headers(verifier, message) == ERR_OK);
	for (size_t at = 0; at<body.len; at += step> 0 ? step : body.len)
		testing_must(arc_verifier_body(verifier, view_sub(body, at, step > 0 ? step : body.len)) == ERR_OK);
	testing_must(arc_verifier_end(verifier) == ERR_OK);
	while (arc_verifier_next(verifier, &need))
		testing_must(arc_verifier_answer(verifier, need.token, count > 0 ? DKIM_DNS_OK : DKIM_DNS_FAILED,
				     &answer) == ERR_OK);
	testing_must(arc_verifier_is_done(verifier));
	return verifier;
}

static inline struct arc_verdict testing_arc_verdict(
	struct view message, uint64_t now_s, const char *const *texts, size_t count)
{
	struct arc_verifier *verifier = testing_arc_verify(message, now_s, 0, texts, count);
	struct arc_verdict verdict;
	testing_must(arc_verifier_verdict(verifier, &verdict));
	arc_verifier_free(verifier);
	return verdict;
}

/* The message with our set on top; without one if none is to be added. The error of the header section if that refuses. */
static inline enum err testing_arc_seal(const struct arc_seal_options *options, const struct arc_seal_finish *finish,
	struct view message, struct buf *out)
{
	struct arc_sealer *sealer = NULL;
	enum err err = arc_sealer_new(options, &sealer);
	if (err == ERR_OK)
		err = arc_sealer_headers(sealer, message);
	if (err == ERR_OK)
		err = arc_sealer_body(sealer, testing_body(message));
	if (err == ERR_OK)
		err = arc_sealer_finish(sealer, finish, out);
	if (err == ERR_OK)
		err = buf_append(out, message);
	arc_sealer_free(sealer);
	return err;
}

#endif
