/* DMARC policy records (RFC 9989 §4.7, §4.8). Pure; nothing is copied. Tolerant as §4.7 demands: only the version can
 * spoil a record, any other fault is as if its tag had not been said. What RFC 7489 had and RFC 9989 has not (pct, rf,
 * ri, sizes behind URIs) is ignored. */
#ifndef MAILAUTH_DMARC_RECORD_H
#define MAILAUTH_DMARC_RECORD_H

#include "base/view.h"

enum dmarc_policy { DMARC_POLICY_NONE, DMARC_POLICY_QUARANTINE, DMARC_POLICY_REJECT };
enum { DMARC_POLICY_COUNT = DMARC_POLICY_REJECT + 1 };
/* "none" … */
struct view dmarc_policy_name(enum dmarc_policy policy);

enum dmarc_psd { DMARC_PSD_UNKNOWN, DMARC_PSD_NO, DMARC_PSD_YES };

enum { /* fo=, a set */
	DMARC_REPORT_IF_ALL_FAIL = 1, /* "0", the default */
	DMARC_REPORT_IF_ANY_FAILS = 2, /* "1" */
	DMARC_REPORT_DKIM = 4, /* "d" */
	DMARC_REPORT_SPF = 8 /* "s" */
};

struct dmarc_record {
	/* p=, and sp= and np= with what stands in for them. DMARC_POLICY_NONE in all of them if `fault`. */
	enum dmarc_policy policy, subdomain_policy, nonexistent_policy;
	bool has_subdomain_policy, has_nonexistent_policy; /* the record says so itself */
	/* A sentence if p= is missing, or p=, sp= or np= is none of the words (§4.10.1), else NULL. The record then
	 * counts as "p=none" if it asks for aggregate reports; if it does not, it is not usable: the message is not
	 * subject to DMARC. */
	const char *fault;
	bool is_usable;
	bool dkim_is_strict, spf_is_strict; /* adkim=, aspf= */
	bool is_testing; /* t=y: one step less than the policy is to be applied */
	enum dmarc_psd psd;
	unsigned failure_reports; /* DMARC_REPORT_… */
	struct view rua, ruf; /* lists for dmarc_uri_next(); empty if absent */
};

/* True if the text begins with the version; white space before it and around its "=" is fine. */
bool dmarc_record_is_dmarc(struct view text);
/* False, and nothing changes, unless it is a DMARC record. Of a tag that is there twice the first counts. */
bool dmarc_record_parse(struct view text, struct dmarc_record *ret);
/* Takes the next valid URI (RFC 3986; a mailto: one with a mailbox) off a list, without the size that RFC 7489 allowed
 * behind it. Others are passed over. False at the end. */
bool dmarc_uri_next(struct view *rest, struct view *ret_uri);

#endif
