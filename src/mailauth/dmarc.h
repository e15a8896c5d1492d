/*
 * DMARC (RFC 9989): does what SPF and DKIM say belong to the domain that the reader of a message sees, and what does
 * that domain's owner want to happen if not? The engine asks for DNS answers one at a time and is resumed with each; it
 * does no I/O and has no clock.
 *
 *   struct dmarc_check *check = dmarc_check_new(&question);
 *   while (dmarc_check_next(check, &need))
 *           … dmarc_check_answer(check, need.token, status, &answer) …
 *   dmarc_check_result(check, &verdict);
 *   dmarc_check_free(check);
 */
#ifndef MAILAUTH_DMARC_H
#define MAILAUTH_DMARC_H

#include "base/buf.h"
#include "dns/message.h"
#include "mailauth/dmarc_record.h"

enum dmarc_result { /* RFC 7489 §11.2, RFC 8601 */
	DMARC_NONE, /* DMARC does not apply: no record, or one without a usable policy */
	DMARC_PASS,
	DMARC_FAIL,
	DMARC_TEMPERROR, /* the DNS gave no answer that was needed; neither a pass nor a failure (RFC 9989 §5.3.6) */
	DMARC_PERMERROR /* there is no one author domain */
};
enum { DMARC_RESULT_COUNT = DMARC_PERMERROR + 1 };
struct view dmarc_result_name(enum dmarc_result result);

enum {
	DMARC_WALK_QUESTIONS_MAX = 8, /* of one tree walk, RFC 9989 §4.10 */
	DMARC_WALKS_MAX = 8, /* for domains that authenticated; those that come after them count as not aligned */
	DMARC_DKIM_MAX = 32, /* signatures; more are not looked at */
	DMARC_RECORDS_MAX = DMARC_WALK_QUESTIONS_MAX * (1 + DMARC_WALKS_MAX),
	DMARC_QUESTIONS_MAX = DMARC_RECORDS_MAX + 1, /* the author domain's walk, the others, and whether it exists */
	DMARC_RECORD_MAX_BYTES = 4096, /* a longer one is passed over */
};

enum dmarc_evidence {
	DMARC_NOT_PASSED, /* SPF, or the signature, says anything but … */
	DMARC_PASSED,
	DMARC_NOT_CHECKED /* temperror: might have passed */
};
struct dmarc_identifier {
	struct view domain; /* the one that SPF checked (MAIL FROM's, or HELO's for the null reverse-path); d= */
	enum dmarc_evidence evidence;
};

/* What is asked. Domains may have U-labels, capitals, a trailing dot; those that are none count as absent. Copied by
 * dmarc_check_new(). */
struct dmarc_question {
	/* Author domains: of all mailboxes of all From fields, each counted once. Anything but 1 gives DMARC_PERMERROR
	 * without a question. A message with several From fields has to be told as more than 1 even if they agree (RFC
	 * 5322 §3.6). */
	size_t from_count;
	struct view from_domain;
	struct dmarc_identifier spf; /* domain empty if SPF was not checked */
	const struct dmarc_identifier *dkim;
	size_t dkim_count;
};

struct dmarc_need {
	uint64_t token;
	struct view name; /* as dns/message.h writes names; borrowed until the answer */
	uint16_t type; /* DNS_TYPE_TXT; DNS_TYPE_A to learn whether the domain exists */
};
enum dmarc_dns_status {
	DMARC_DNS_OK, /* NOERROR, with or without records */
	DMARC_DNS_NXDOMAIN,
	DMARC_DNS_FAILED, /* a time-out, any other rcode, a malformed or bogus answer */
};

enum dmarc_source { /* whose record it is, RFC 9989 §4.10.1 */
	DMARC_SOURCE_NONE,
	DMARC_SOURCE_AUTHOR,
	DMARC_SOURCE_ORGANIZATION,
	DMARC_SOURCE_SUFFIX
};

struct dmarc_verdict {
	enum dmarc_result result;
	struct view domain; /* the author domain, in A-labels and lower case; empty if there is not one */
	/* Its organisational domain. Empty if it was not found, or did not matter: when all that passed is compared
	 * strictly. */
	struct view org_domain;
	enum dmarc_source source;
	struct view record_domain; /* below which "_dmarc" is the record; empty with DMARC_SOURCE_NONE */
	struct dmarc_record record; /* if there is a source */
	/* np= was chosen: the author domain does not exist. Only asked if the message fails, and np= makes a difference. */
	bool is_nonexistent;
	enum dmarc_policy policy; /* what the owner asks for in case of failure */
	/* What that comes to for this message: DMARC_POLICY_NONE unless it fails; one step less with t=y. */
	enum dmarc_policy applied;
	bool spf_aligned, dkim_aligned; /* passed, and aligned; for any of the signatures */
	const char *reason; /* a sentence, static; never NULL */
	unsigned questions;
};

/* What became of one identifier. */
struct dmarc_alignment {
	struct view domain; /* normalised; empty if it is none */
	/* If it was looked for: only for one that passed, is not the author domain, and lies in its organisation. */
	struct view org_domain;
	enum dmarc_evidence evidence;
	bool is_strict; /* how it was compared */
	bool is_aligned; /* with DMARC_NOT_PASSED: only if it is the author domain itself */
	bool is_unknown; /* the DNS gave no answer */
};

struct dmarc_check;

/* Never NULL. */
struct dmarc_check *dmarc_check_new(const struct dmarc_question *question);
/* NULL is fine. */
void dmarc_check_free(struct dmarc_check *check);
/* The open question, the same one until it is answered; false when the result is there. No name is asked for twice. */
bool dmarc_check_next(const struct dmarc_check *check, struct dmarc_need *ret);
/* Borrowed during the call; `answer` may be NULL, and is not looked at unless the status is DMARC_DNS_OK. ERR_STATE,
 * and nothing changes, if the token is not that of the open question. */
enum err dmarc_check_answer(struct dmarc_check *check, uint64_t token, enum dmarc_dns_status status,
	const struct dns_answer *answer) MUST_CHECK;
/* The owner's time is up: the result is DMARC_TEMPERROR, if there is none yet. */
void dmarc_check_give_up(struct dmarc_check *check);
/* False while a question is open. The views live as long as the check. */
bool dmarc_check_result(const struct dmarc_check *check, struct dmarc_verdict *ret);
/* Of SPF, and of the i-th signature. False while a question is open, or if there is none such. */
bool dmarc_check_spf(const struct dmarc_check *check, struct dmarc_alignment *ret);
bool dmarc_check_dkim(const struct dmarc_check *check, size_t i, struct dmarc_alignment *ret);
/* What the check holds on to now: never more than 96 KiB. */
size_t dmarc_check_memory_bytes(const struct dmarc_check *check);

/* Appends what stands for DMARC in Authentication-Results, without ";" or fold: `dmarc=fail reason="…"
 * policy.dmarc=reject header.from=example.org`. policy.dmarc is what is to be applied (RFC 7489 §11.1). */
enum err dmarc_format_result(const struct dmarc_verdict *verdict, struct buf *out) MUST_CHECK;

#endif
