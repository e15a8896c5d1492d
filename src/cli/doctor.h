/*
 * `postrider doctor`: what the world sees of a domain's mail, compared with what it should see. Questions go to the configured resolvers, connections to
 * the domain's own hosts; one thing after another, waiting for each. What is found is a list of findings, the good ones too.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "cli/dns_plan.h"
#include "dns/message.h"
#include "net/https.h"
#include "net/resolver.h"
#include "net/tls.h"
#include "route/mx.h"

enum doctor_level {
	DOCTOR_OK,
	DOCTOR_NOTE, /* worth knowing; nothing is wrong */
	DOCTOR_WARNING, /* mail works, but not as well as it could */
	DOCTOR_FAILURE, /* mail gets lost, refused or distrusted */
};
enum { DOCTOR_LEVELS = DOCTOR_FAILURE + 1 };
/* "ok", "note", "warning", "failure" */
const char *doctor_level_name(enum doctor_level level);

struct doctor_finding {
	enum doctor_level level;
	const char *topic; /* "mx", "spf" … */
	const char *text; /* one sentence; peers' words in it are clean */
	const char *publish; /* the record to publish instead, as a line of a zone file; NULL: none */
};
#define DOCTOR_FINDINGS_MAX 500u
#define DOCTOR_ADDRESSES_MAX 32u

struct doctor {
	const struct config *config;
	const char *domain;
	const struct dns_plan *plan;
	const json_t *keys; /* of dkim.list */
	bool may_connect; /* to the MX hosts and the policy host */
	void (*found)(void *owner, const struct doctor_finding *finding); /* as they come; may be NULL */
	void *owner;

	struct loop *loop;
	struct resolver *resolver;
	struct https *https;
	struct tls_context *tls;
	struct arena arena;
	size_t finding_count;
	struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
	struct mx_hosts mx; /* of the domain, as published */
	bool mx_is_secure;
	size_t source_count; /* addresses that we send from, as far as is known */
	struct net_address sources[DOCTOR_ADDRESSES_MAX];
};

/* config, domain, plan, keys, may_connect and found are set by the caller; the rest here. ERR_IO with a sentence if there is no resolver to be had;
 * what is wrong with the domain is no error. Clear it in every case. */
enum err doctor_run(struct doctor *doctor) MUST_CHECK;
void doctor_clear(struct doctor *doctor);
enum doctor_level doctor_worst(const struct doctor *doctor);

#endif
