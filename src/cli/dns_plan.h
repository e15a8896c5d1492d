/* What a domain of ours needs in DNS, so that its mail arrives here and is believed elsewhere: told from the configuration and the keys. Pure but
 * for reading the certificate. */
#ifndef CLI_DNS_PLAN_H
#define CLI_DNS_PLAN_H

#include "base/arena.h"
#include "config/config.h"

#include <jansson.h>

#define DNS_PLAN_MAX 256u

enum dns_topic {
	DNS_TOPIC_MX,
	DNS_TOPIC_ADDRESS,
	DNS_TOPIC_SPF,
	DNS_TOPIC_DKIM,
	DNS_TOPIC_DMARC,
	DNS_TOPIC_MTA_STS,
	DNS_TOPIC_TLSRPT,
	DNS_TOPIC_TLSA,
	DNS_TOPIC_CLIENTS,
	DNS_TOPICS,
};
/* "Where mail for the domain goes" … */
const char *dns_topic_title(enum dns_topic topic);

struct dns_entry {
	enum dns_topic topic;
	const char *name; /* without trailing dot; in the plan's arena */
	const char *type; /* "MX", "TXT" … */
	const char *data; /* as a zone file has it; of TXT the plain text */
};
struct dns_plan {
	struct arena arena;
	size_t count;
	struct dns_entry entries[DNS_PLAN_MAX];
	/* A sentence per topic about what is missing or to be decided; NULL: none. */
	const char *notes[DNS_TOPICS];
};

/* `domain` in lower-case A-labels; `keys`: the answer of dkim.list. ERR_LIMIT: more records than there is room for. Clear it in every case. */
enum err dns_plan_make(
	const struct config *config, const char *domain, const json_t *keys, struct dns_plan *ret) MUST_CHECK;
void dns_plan_clear(struct dns_plan *plan);

/* "example.com. 3600 IN TXT \"…\"", with its line end. */
enum err dns_entry_format(const struct dns_entry *entry, struct buf *out) MUST_CHECK;
/* The whole as lines of a zone file, with comments. */
enum err dns_plan_format(const struct dns_plan *plan, const char *domain, struct buf *out) MUST_CHECK;

#endif
