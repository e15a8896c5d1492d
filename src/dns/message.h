/* DNS answers (RFC 1035 wire form) parsed into records. Pure; bounded; compression loops and lies about lengths are
 * ERR_SYNTAX. */
#ifndef DNS_MESSAGE_H
#define DNS_MESSAGE_H

#include "base/arena.h"

enum {
	DNS_TYPE_A = 1,
	DNS_TYPE_NS = 2,
	DNS_TYPE_CNAME = 5,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_MX = 15,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_SRV = 33,
	DNS_TYPE_TLSA = 52
};
enum { DNS_RCODE_NOERROR = 0, DNS_RCODE_SERVFAIL = 2, DNS_RCODE_NXDOMAIN = 3 };

struct dns_record {
	/* Lower-case name without trailing dot, as after following CNAMEs; bytes outside [a-z0-9-_] as \DDD. */
	struct view owner;
	uint16_t type;
	uint32_t ttl_s;
	uint16_t preference; /* MX; SRV: priority */
	struct view name; /* MX exchange ("" is the root: null MX), CNAME, PTR, NS, SRV target: as `owner` */
	struct view data; /* A: 4 bytes; AAAA: 16; TXT: the strings joined; TLSA: data; others (SRV, too): raw */
	uint8_t tlsa_usage, tlsa_selector, tlsa_matching;
};
struct dns_answer {
	unsigned rcode;
	struct view final_name; /* the question's name after following the CNAMEs in the answer */
	bool had_cname;
	size_t record_count; /* of the type asked for, at final_name */
	struct dns_record *records;
	uint32_t ttl_s; /* smallest of those used; 0 if there were none */
};
/* Parses the answer to a question (name is compared without case). At most 16 CNAMEs are followed. All memory from
 * the arena. ERR_SYNTAX (a truncated message, too), ERR_LIMIT (the arena's budget, or more than 64 CNAMEs). */
enum err dns_answer_parse(struct view wire, uint16_t type, struct arena *arena, struct dns_answer *ret) MUST_CHECK;

#endif
