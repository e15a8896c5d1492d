/* The text of an SPF record (RFC 7208 §4.5, §4.6, §12): its syntax, and its terms one after the other. Needs no
 * memory. Pure. */
#ifndef MAILAUTH_SPF_RECORD_H
#define MAILAUTH_SPF_RECORD_H

#include "mailauth/spf.h"

enum spf_mechanism { SPF_ALL, SPF_INCLUDE, SPF_A, SPF_MX, SPF_PTR, SPF_IP4, SPF_IP6, SPF_EXISTS };
enum { SPF_MECHANISM_COUNT = SPF_EXISTS + 1 };

struct spf_term {
	struct view text; /* as written */
	enum spf_mechanism mechanism;
	enum spf_result qualifier; /* PASS, FAIL, SOFTFAIL or NEUTRAL */
	struct view domain_spec; /* macros not expanded; empty: the domain whose record it is */
	uint8_t address[16]; /* ip6; the first 4 of ip4 */
	unsigned prefix4_bits, prefix6_bits; /* 32 and 128 if not written */
};
struct spf_record {
	struct view terms; /* what stands behind the version */
	struct view redirect, explain; /* domain-specs of redirect= and exp=; empty: there is none */
	struct view redirect_text; /* the whole modifier */
};
struct spf_fault {
	const char *problem; /* a sentence */
	struct view term;
};

/* True if a TXT record is one of SPF: "v=spf1", in any case, and then a space or the end (§4.5). */
bool spf_record_is_spf(struct view text);
/* Checks the whole record, as §4.6 demands; false fills *ret_fault instead. The views point into the text. */
bool spf_record_parse(struct view text, struct spf_record *ret, struct spf_fault *ret_fault);
/* Takes the next mechanism off the terms of a record that was parsed; modifiers are passed over. */
bool spf_record_next(struct view *terms, struct spf_term *ret);
/* True if evaluating the mechanism counts against the limit of §4.6.4. */
bool spf_mechanism_needs_dns(enum spf_mechanism mechanism);

#endif
