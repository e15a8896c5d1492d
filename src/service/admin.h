/*
 * Administration as values: one JSON request → one JSON result, inside a transaction that the caller opened. The running server
 * calls it in a store job for requests from its control socket; the command line calls it on the store it opened itself. So
 * every rule about domains, accounts, aliases and the queue is written once, and there are never two writers.
 *
 * A request is {"command": "domain.add", "arguments": {"domain": "example.com"}}. Commands, arguments → result:
 *   domain.add | domain.remove     domain                  → {"domain"}
 *   domain.list                                            → {"domains": ["example.com"]}
 *   account.add                    address, password_hash? → {"address"}     (an argon2id hash; never a clear password)
 *   account.password               address, password_hash  → {"address"}
 *   account.remove                 address                 → {"address"}     (mail on disk stays)
 *   account.list                   domain?                 → {"accounts": [{"address", "can_log_in"}]}
 *   alias.add                      alias, targets          → {"alias", "targets"}
 *   alias.remove                   alias, targets?         → {"alias"}
 *   alias.list                     domain?                 → {"aliases": [{"alias", "targets"}]}
 *   queue.list                     FILTER, after?, limit?
 *                                  → {"messages": [message], "next": id or null}    (at most 1,000 messages; go on with after = next)
 *   queue.show                     id                      → message with "head" and "header"
 *   queue.find                     FILTER, after?          → {"ids": [id], "looked_at": recipients, "next": id or null}
 *                                                            (a bite of the queue, and at most 2,000 ids; go on with after = next)
 *   queue.retry | hold | release | remove
 *                                  ids and/or FILTER, or all: true; check: true only looks whether the request is right
 *                                  → {"changed": recipients, "not_found": [ids]}      (one transaction: of a long queue, ids from queue.find)
 *   queue.bounce                   the same, reason        → the same                 (returned to their senders)
 *   queue.rebind                   the same, to_stream?, to_smarthost?  → the same    ("none": as configured)
 *   queue.summary                  FILTER, top?, recipients_max?
 *                                  → {"messages", "recipients", "deferred", "held", "suspended", "returning", "bytes", "oldest_ms", "complete",
 *                                     "ages": [{"below_ms" or null, "recipients"}],
 *                                     "domains" | "sites" | "streams" | "replies": {"exact", "groups": [{"name", "recipients"}]},
 *                                     "suspensions": [suspension]}      (the last two lines with `top` only)
 *   queue.suspend                  site | domain | smarthost | stream | site and stream, for_ms?, reason?  → suspension
 *   queue.resume                   the same                → {"kind", "name", "stream"?, "was_suspended", "lifted": [suspension],
 *                                     "remaining": [suspension]}        (what still keeps back all or some of it)
 *   queue.suspensions                                      → {"suspensions": [suspension]}
 *                                     suspension: {"kind", "name", "stream"?, "source": "operator" or "rule", "until_ms" or null, "reason"}
 *   queue.live                                             → queue.suspensions', with {"at_ms", "accepted", "delivered", "deferred", "failed" (recipients
 *                                     since start), "active_messages", "active_recipients", "connections", "destination_count", "destinations":
 *                                     [{"name", "waiting", "connections", "connections_max", "blocked_ms", "reason"}]}   (running server only)
 * FILTER is any of: domain, site, sender, stream (texts), held, deferred, suspended (true),
 * suspended_by (text: "site google"); a recipient must match all that are given.
 *   dkim.new                       domain, private_keys, selector?
 *                                  → {"keys": [key], "ours": is it one of our domains}     (PEM texts, made by the caller: making one takes long)
 *   dkim.rotate                    domain, private_keys, selectors        → the same       (each takes the place of one that is active)
 *   dkim.list                      domain?                 → {"keys": [{"domain", "selector", "algorithm", "bits", "state", "created_ms",
 *                                                             "activated_ms", "retired_ms", "name", "record"}]}   (never the private half)
 *   dkim.activate | retire | remove
 *                                  domain, selectors       → {"keys": [key]}
 *   stream.sent                    days?                   → {"today": day, "sent": [{"egress", "day", "messages"}]}     (days since 1970, UTC)
 *   dmarc.report                   domain, days?           → {"messages", "aligned", "sources": [{"ip", "messages", "aligned", …}],
 *                                                             "reporters": [{"organization", "reports", "messages", "policy", "last_s"}]}
 *   dmarc.failures                 domain, days?           → {"failures": [{"reporter", "received_ms", "ip", "mail_from", …}]}
 *   reports.tls                    domain, days?           → {"reporters": [{"organization", "policy_type", "successes", "failures"}],
 *                                                             "failures": [{"result", "host", "sessions", …}]}
 *   reports.list                                           → {"waiting": [{"kind", "day", "domain"}]}      (to be sent by us)
 *   reports.send                   day?                    → {"day"}                                       ("2026-11-23"; by the running server)
 * Arguments that a command does not know are errors, so that a misspelt filter never means "everything".
 */
#ifndef SERVICE_ADMIN_H
#define SERVICE_ADMIN_H

#include "store/queue_store.h"
#include "store/store.h"

#include <jansson.h>

struct config;

/* A request line is at most this long, its newline included. */
#define ADMIN_REQUEST_MAX_BYTES (1024u * 1024)

struct admin_context {
	int64_t now_ms; /* wall clock */
	const char *data_folder; /* for the header of a spooled message; NULL: leave that out */
	const char *postmaster; /* config->postmaster: this account is not removed; NULL: none */
	const struct config *config; /* knows the names of streams and smart hosts; NULL: any name will do */
	const struct site_map
		*sites; /* what the running server knows of the sites of domains (store/site_map.h); NULL: nothing */
	bool is_running; /* a server asks, not the command line */
	bool dkim_unchecked; /* new keys sign at once: config->dkim.check_published is off */
};

struct admin_spool_name {
	char name[64];
};
/* What the caller does after the commit. Zero-initialised it is empty. */
struct admin_effects {
	bool directory_changed; /* domains, accounts or aliases */
	bool dkim_changed; /* keys */
	bool reports_wanted; /* those of the days up to reports_day (since 1970, UTC) are to be sent now */
	int64_t reports_day;
	bool queue_changed; /* rows of the queue, or what is suspended: the dispatcher is to look again */
	bool suspensions_changed; /* what is suspended: whoever asked is answered when that is in force */
	const char *event; /* for the trace of these messages; NULL: none */
	struct buf event_fields;
	size_t message_count;
	struct admin_changed {
		uint64_t id;
		uint64_t recipients;
	} * messages;
	size_t spool_count;
	struct admin_spool_name *spools; /* spool files to remove after the commit */
};
/* Frees; the effects are empty and usable again. */
void admin_effects_clear(struct admin_effects *effects);

/* False: the request only reads, and needs no writing transaction. Unknown commands count as reading (they are refused). */
bool admin_request_writes(const json_t *request);

/* It asks for sites: a running server adds what it knows of them. */
bool admin_request_wants_sites(const json_t *request);

/* It reads, and may take long: for a thread where nobody waits behind it. */
bool admin_request_scans(const json_t *request);

/* Calls add() for each event of the effects; the text lives until it returns. */
void admin_effects_events(const struct admin_effects *effects, int64_t now_ms,
	void (*add)(void *owner, const struct store_event *event), void *owner);

/* Runs one request. ERR_OK with a new reference in *ret_result; else a plain sentence in err_detail(): ERR_SYNTAX (bad request),
 * ERR_NOT_FOUND, ERR_EXISTS, ERR_STATE, or what the store says. After an error the caller rolls back. *ret_effects (cleared by the
 * caller) is filled only on ERR_OK. Blocking: for a store thread, or a program without threads. */
enum err admin_run(struct db *db, const struct admin_context *context, const json_t *request, json_t **ret_result,
	struct admin_effects *ret_effects) MUST_CHECK;

/* The answer that goes back, as one line with its newline: {"ok":true,"result":…}, or {"ok":false,"error":sentence,"code":err_name}.
 * `result` is borrowed (NULL on errors). ERR_LIMIT when it does not fit into the buffer. */
enum err admin_format_answer(enum err err, const char *detail, const json_t *result, struct buf *out) MUST_CHECK;

/* Reads a request line (with or without its newline). NULL with err_detail() when it is no JSON object. A new reference. */
json_t *admin_parse_request(struct view line);

/* A domain as it is stored: lower-case A-labels; "Bücher.example" → "xn--bcher-kva.example". ERR_SYNTAX with a sentence. */
enum err admin_normalise_domain(struct view domain, struct buf *out) MUST_CHECK;
/* "local@domain" with the domain as above and the local part's quotes dropped where they are not needed. ERR_SYNTAX. */
enum err admin_normalise_address(struct view address, struct buf *out) MUST_CHECK;

#endif
