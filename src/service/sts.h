/*
 * MTA-STS policies of other domains (RFC 8461): looked up by DNS id, fetched over HTTPS, kept in the store and in memory, refreshed before
 * they expire. Lives on the dispatcher's loop. Decisions are mailauth/mta_sts.h's.
 */
#ifndef SERVICE_STS_H
#define SERVICE_STS_H

#include "mailauth/mta_sts.h"
#include "net/https.h"
#include "net/resolver.h"
#include "service/server_private.h"

struct sts;
struct sts_query;

struct sts_policy {
	uint32_t references; /* private */
	struct mta_sts_policy policy; /* views into text */
	char id[MTA_STS_ID_MAX_BYTES + 1];
	int64_t fetched_ms; /* wall clock */
	struct buf text; /* the file as fetched */
};
struct sts_policy *sts_policy_ref(struct sts_policy *policy);
void sts_policy_unref(struct sts_policy *policy); /* NULL is fine */
/* For mta_sts_decide(). */
uint64_t sts_policy_age_s(const struct sts_policy *policy, int64_t now_wall_ms);

struct sts_options {
	struct server *server; /* store, workers */
	struct loop *loop;
	struct resolver *resolver;
	struct https *https;
	uint16_t port; /* of policy hosts: 443 */
	const char *ca_file; /* NULL: the system's */
};
struct sts *sts_new(const struct sts_options *options);
/* Settings changed: for what is fetched from now on. */
void sts_configure(struct sts *sts, uint16_t port, const char *ca_file);
/* Before its https and resolver. server->dispatcher, if there is one, waits for the store's jobs that are under way. NULL is fine. */
void sts_free(struct sts *sts);

/* What came of it, for reasons and TLS reports. */
enum sts_problem {
	STS_FINE,
	STS_FETCH_ERROR, /* sts-policy-fetch-error: a record says there is a policy, but it can't be had */
	STS_POLICY_INVALID, /* sts-policy-invalid */
	STS_WEBPKI_INVALID, /* sts-webpki-invalid: the policy host's certificate */
};
/* Finds the policy in force for a domain: `policy` NULL: none (borrowed during the call; ref it to keep it). A fresh policy that can't be fetched does
 * not take away one that is still valid (RFC 8461 §5.1). found() is called once, later, from the loop. At most 128 hosts are talked to at once; who
 * has not sent his policy within 10 s makes way for others that wait, and after a minute all the same. A fetch that failed is not tried again for 5
 * minutes. */
struct sts_query *sts_find(struct sts *sts, struct view domain,
	void (*found)(void *owner, struct sts_policy *policy, enum sts_problem problem, const char *detail),
	void *owner);
void sts_cancel(struct sts_query *query); /* NULL is fine */

#endif
