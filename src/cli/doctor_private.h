/* What the doctor_*.c files share. */
#ifndef CLI_DOCTOR_PRIVATE_H
#define CLI_DOCTOR_PRIVATE_H

#include "cli/doctor.h"

void doctor_say(struct doctor *doctor, enum doctor_level level, const char *topic, const char *format, ...)
	PRINTF_LIKE(4, 5);
/* The same with the plan's first record of this topic, type and (unless NULL) name as the one to publish. */
void doctor_say_publish(struct doctor *doctor, enum doctor_level level, enum dns_topic topic, const char *type,
	const char *name, const char *format, ...) PRINTF_LIKE(6, 7);

/* An answer, waited for. */
struct doctor_answer {
	bool failed; /* there is none: `why` */
	const char *why;
	bool secure;
	struct dns_answer dns; /* in the doctor's arena */
};
struct doctor_answer doctor_ask(struct doctor *doctor, const char *name, uint16_t type);
/* A and AAAA of a name; returns how many. *ret_failed (may be NULL): DNS did not answer. */
size_t doctor_addresses(
	struct doctor *doctor, const char *name, uint16_t port, struct net_address *ret, size_t max, bool *ret_failed);
/* In the arena, as a C string. */
const char *doctor_keep(struct doctor *doctor, struct view text);
/* TXT records that begin with `prefix`; the first one in *ret. */
size_t doctor_txt(const struct doctor_answer *answer, struct view prefix, struct view *ret);

/* What a host says on its SMTP port. */
struct doctor_host {
	bool connected, greeted, offers_starttls, has_tls;
	char problem[300]; /* what ended it; "" if nothing did */
	char banner[200];
	struct tls_facts facts;
	char version[16];
};
void doctor_probe(struct doctor *doctor, const char *host, const struct net_address *address, size_t tlsa_count,
	const struct tls_tlsa *tlsa, struct doctor_host *ret);

void doctor_check_mx(struct doctor *doctor);
void doctor_check_hosts(struct doctor *doctor);
void doctor_check_sources(struct doctor *doctor);
void doctor_check_spf(struct doctor *doctor);
void doctor_check_dkim(struct doctor *doctor);
void doctor_check_dmarc(struct doctor *doctor);
void doctor_check_mta_sts(struct doctor *doctor);
void doctor_check_tls_rpt(struct doctor *doctor);
void doctor_check_clients(struct doctor *doctor);
void doctor_check_block_lists(struct doctor *doctor);

#endif
