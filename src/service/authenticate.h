/*
 * Who sent this? Verification of one message from a stranger: the client's name in DNS, SPF, DKIM, DMARC, and what follows from them by the
 * operator's configuration. Begun with the envelope, fed while the body arrives, done soon after its end: every look-up is bounded in
 * number and time, and the loop never waits.
 *
 *   authenticate_new(&options)                      with the first recipient
 *   authenticate_tap()                              into the session's taps
 *   authenticate_finish(…, done, owner)             behind the body's end; done() once the verdict is there
 *   authenticate_facts(), authenticate_format()
 *   authenticate_free()                             at any moment
 */
#ifndef SERVICE_AUTHENTICATE_H
#define SERVICE_AUTHENTICATE_H

#include "mailauth/arc.h"
#include "mailauth/auth_results.h"
#include "mailauth/dkim.h"
#include "mailauth/dmarc.h"
#include "mailauth/spf.h"
#include "net/address.h"
#include "policy/auth_policy.h"
#include "service/intake_tap.h"
#include "service/iprev.h"
#include "service/message.h"

struct authentication_signature {
	struct dkim_signature dkim;
	bool is_aligned; /* passed, and DMARC takes it for the author's domain */
};

/* All that was found out about one message. Views live as long as the authenticate object, and are outside bytes unless said otherwise. */
struct authentication_facts {
	const struct queue_message
		*envelope; /* id, time, reverse-path, recipients; its client is the address as text */
	struct net_address client;
	struct view helo;
	enum auth_iprev iprev;
	struct view client_name; /* confirmed forwards; empty unless iprev is a pass */

	bool has_helo_spf,
		has_spf; /* was checked. With a null reverse-path `spf` is about HELO, and has_helo_spf false */
	struct spf_verdict helo_spf, spf;

	size_t signature_count; /* in the order of their fields */
	const struct authentication_signature *signatures;

	struct arc_verdict arc; /* none, if there is no chain or it is not looked at */
	struct view trusted_sealer; /* on whose word a DMARC failure does not count; empty: nobody's */

	size_t from_fields; /* From fields of the message */
	struct dmarc_verdict dmarc; /* with the author domain, the record, its domain and the policy */
	bool has_spf_alignment;
	struct dmarc_alignment spf_alignment;

	struct auth_decision decision; /* what we do, and why not what the policy asks for */
};

struct authenticate;
struct config;
struct dkim_keys;

struct authenticate_options {
	struct loop *loop;
	struct resolver *resolver;
	struct places_key share; /* the session's */
	struct dkim_keys *keys; /* of the loop */
	const struct config *config; /* outlives the object */
	const struct queue_message *envelope; /* outlives the object */
	struct net_address client;
	struct view helo; /* copied */
	struct iprev *iprev; /* of the session: outlives the object */
};

/* Begins with the look-ups that the envelope allows. Never NULL. */
struct authenticate *authenticate_new(const struct authenticate_options *options);
/* Cancels what is open. NULL is fine. */
void authenticate_free(struct authenticate *authenticate);
struct intake_tap *authenticate_tap(struct authenticate *authenticate);
/* What is kept of the header section once it was looked at. */
size_t authenticate_memory_bytes(const struct authenticate *authenticate);
/* Behind the end of the body: done() is called once, now or later from the loop, unless the object is freed first. */
void authenticate_finish(struct authenticate *authenticate, void (*done)(void *owner), void *owner);
/* The session's iprev is finished. */
void authenticate_iprev_finished(struct authenticate *authenticate);

/* Both once it is done. */
const struct authentication_facts *authenticate_facts(const struct authenticate *authenticate);
/* The results as text, for auth_results_format() and whoever else passes them on (ARC). Views live as long as *ret, which
 * authenticate_results_clear() frees in every case. */
#define AUTHENTICATE_RESULTS_MAX                                                                                       \
	(2 + DKIM_SIGNATURES_DEFAULT + 3) /* HELO's and the sender's SPF; DKIM; DMARC, ARC, the client's name */
struct authenticate_results {
	size_t count;
	struct view views[AUTHENTICATE_RESULTS_MAX];
	struct buf texts[AUTHENTICATE_RESULTS_MAX];
};
enum err authenticate_results(const struct authenticate *authenticate, struct authenticate_results *ret) MUST_CHECK;
void authenticate_results_clear(struct authenticate_results *results);
/* Appends our Authentication-Results field. */
enum err authenticate_format(const struct authenticate *authenticate, struct buf *out) MUST_CHECK;
/* Appends "pass example.org, fail example.net": each signature in a word or two, for log and trace. */
enum err authenticate_describe_signatures(const struct authentication_facts *facts, struct buf *out) MUST_CHECK;

#endif
