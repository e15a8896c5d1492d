/*
 * Sender Policy Framework (RFC 7208): may this address send mail in this domain's name? The engine asks for DNS answers
 * one at a time and is resumed with each; it does no I/O and has no clock. Work, questions and memory are bounded
 * whatever the records say.
 *
 *   struct spf_check *check = spf_check_new(&question);
 *   while (spf_check_next(check, &need))
 *           … spf_check_answer(check, need.token, status, &answer) …
 *   spf_check_result(check, &verdict);
 *   spf_check_free(check);
 */
#ifndef MAILAUTH_SPF_H
#define MAILAUTH_SPF_H

#include "base/buf.h"
#include "dns/message.h"

enum spf_result { /* RFC 7208 §2.6 */
	SPF_NONE,
	SPF_NEUTRAL,
	SPF_PASS,
	SPF_FAIL,
	SPF_SOFTFAIL,
	SPF_TEMPERROR,
	SPF_PERMERROR
};
enum { SPF_RESULT_COUNT = SPF_PERMERROR + 1 };
/* "none", "neutral" … as header fields write it. */
struct view spf_result_name(enum spf_result result);

enum {
	SPF_LOOKUPS_MAX = 10, /* terms that need DNS, RFC 7208 §4.6.4; also the depth of includes */
	SPF_VOID_LOOKUPS_MAX = 2, /* those of them that found nothing */
	SPF_NAMES_MAX = 10, /* MX hosts of one term; names of the client's address */
	SPF_RECORD_MAX_BYTES = 8192,
	SPF_EXPLANATION_MAX_BYTES = 1024,
	SPF_MEMORY_MAX_BYTES = 256 * 1024,
	/* Its record, ten terms each with ten hosts behind it, the client's names, and the explanation. */
	SPF_QUESTIONS_MAX = 1 + SPF_LOOKUPS_MAX * (1 + SPF_NAMES_MAX) + (1 + SPF_NAMES_MAX) + 1,
};
/* 0 means the default above; more than it counts as it. */
struct spf_limits {
	unsigned lookups_max, void_lookups_max, names_max;
	size_t record_max_bytes, memory_max_bytes;
};

enum spf_identity { SPF_MAIL_FROM, SPF_HELO };

/* What is asked. Copied by spf_check_new(), cut to 512 bytes a field. */
struct spf_question {
	struct view ip; /* 4 or 16 raw bytes; IPv4-mapped IPv6 counts as IPv4 (§5) */
	/* What is checked. SPF_MAIL_FROM with an empty domain (the null reverse-path) checks postmaster@helo instead
	 * (§2.4). */
	enum spf_identity identity;
	struct view helo; /* as the client said it */
	/* MAIL FROM: the local part's value (no quotes), empty means "postmaster"; the domain in A-labels (RFC 8616
	 * §4) */
	struct view local, domain;
	struct view receiver; /* our host name, for %{r} and header fields; empty: "unknown" */
	uint64_t now_s; /* Unix time, for %{t} */
	struct spf_limits limits;
};

/* A question to the DNS. */
struct spf_need {
	uint64_t token;
	struct view name; /* as dns/message.h writes names; borrowed until the answer */
	uint16_t type; /* DNS_TYPE_TXT, A, AAAA, MX or PTR */
};
enum spf_dns_status {
	SPF_DNS_OK, /* NOERROR, with or without records */
	SPF_DNS_NXDOMAIN,
	SPF_DNS_FAILED, /* a time-out, any other rcode, a malformed or bogus answer (§4.4) */
};

struct spf_verdict {
	enum spf_result result;
	enum spf_identity identity; /* the one that was checked */
	struct view domain; /* the one that was checked, without trailing dot; outside bytes */
	/* The term that decided, as its record writes it, and that record's domain: of the domain's own record, or
	 * of where it was redirected to; with permerror, the term at fault, wherever it stands. Empty if no term
	 * did. Outside bytes. */
	struct view term, term_domain;
	/* With fail, what the domain's owner says about it (§6.2): printable ASCII, written by a stranger; empty if
	 * nothing. */
	struct view explanation;
	const char *problem; /* with temperror and permerror, a sentence; else NULL */
	unsigned lookups, void_lookups, questions;
};

struct spf_check;

/* Never NULL. */
struct spf_check *spf_check_new(const struct spf_question *question);
/* NULL is fine. */
void spf_check_free(struct spf_check *check);
/* The open question, the same one until it is answered; false when the result is there. */
bool spf_check_next(const struct spf_check *check, struct spf_need *ret);
/* Borrowed during the call; `answer` may be NULL, and is not looked at unless the status is SPF_DNS_OK. ERR_STATE,
 * and nothing changes, if the token is not that of the open question. */
enum err spf_check_answer(struct spf_check *check, uint64_t token, enum spf_dns_status status,
	const struct dns_answer *answer) MUST_CHECK;
/* The owner's time is up (§4.6.4: not before 20 s): the result is temperror, if there is none yet. */
void spf_check_give_up(struct spf_check *check);
/* False while a question is open. The views live as long as the check. */
bool spf_check_result(const struct spf_check *check, struct spf_verdict *ret);
/* What the check holds on to now; at most the memory limit, a fixed part of under 16 KiB aside. */
size_t spf_check_memory_bytes(const struct spf_check *check);

/* Appends the field "Received-SPF: …" (§9.1) with its CRLF, folded. Outside bytes are quoted, or become "?". */
enum err spf_format_received(
	const struct spf_question *question, const struct spf_verdict *verdict, struct buf *out) MUST_CHECK;
/* Appends what stands for SPF in Authentication-Results (RFC 8601 §2.7.2): "spf=pass smtp.mailfrom=joe@example.org",
 * without ";" or fold. */
enum err spf_format_result(
	const struct spf_question *question, const struct spf_verdict *verdict, struct buf *out) MUST_CHECK;

#endif
