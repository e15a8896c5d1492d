/*
 * Configuration text → one typed, immutable snapshot. Reference-counted: a reload makes a new one, sessions under way keep
 * theirs. Every key is in the table of config_keys.c, which the manual (docs/man/postrider.conf.5.md) is checked against.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/log.h"
#include "net/address.h"

enum listener_kind {
	LISTENER_MX, /* port 25: mail for our domains, from anybody */
	LISTENER_SUBMISSION, /* 587, 2525: STARTTLS, login needed */
	LISTENER_SUBMISSIONS, /* 465: TLS from the first byte, login needed */
	LISTENER_MAIL_KINDS,
	LISTENER_HTTPS =
		LISTENER_MAIL_KINDS, /* 443: the MTA-STS policies of our domains, and how mail programs are set up */
	LISTENER_KINDS,
};

struct config_listener {
	bool enabled;
	size_t address_count;
	struct net_address *addresses;
	size_t relay_from_count;
	struct net_range *relay_from; /* trusted networks: may relay without login */
	bool normalise_line_ends; /* for relay_from clients only */
};

struct config_limits {
	uint32_t connections; /* all listeners together */
	uint32_t connections_per_address;
	uint32_t commands_per_session;
	uint32_t errors_per_session;
	uint32_t messages_per_session;
	uint32_t auth_failures_per_session;
	uint32_t recipients_per_message;
	uint64_t message_size_bytes;
	uint32_t idle_timeout_ms; /* between two commands */
	uint32_t data_timeout_ms; /* between two pieces of a message */
	uint32_t message_timeout_ms; /* for a whole message */
	uint32_t hops; /* Received fields: more is a loop, 5.4.6 */
	uint64_t body_memory_bytes; /* of all messages being received or sent; beyond, bodies go to spool files */
	uint64_t inline_body_bytes; /* larger bodies are spooled: 1 MiB */
};

struct config_queue {
	int64_t retry_first_ms, retry_max_ms; /* 5 min … 4 h, doubling, with jitter */
	int64_t expire_ms; /* 5 days */
	int64_t expire_bounce_ms; /* the same for messages with null reverse-path: 1 day */
	int64_t warn_after_ms; /* 4 h; 0 = never */
	uint32_t active_recipients; /* held in memory at once: 20,000 */
};

/* Towards MX hosts. DANE and MTA-STS, where a domain publishes them, are honoured on top of each but `none`. */
enum config_tls_policy {
	CONFIG_TLS_NONE, /* never */
	CONFIG_TLS_MAY, /* when offered */
	CONFIG_TLS_ENCRYPT, /* always, with any certificate */
	CONFIG_TLS_VERIFY, /* always, with a certificate that is valid for the MX host's name */
	CONFIG_TLS_DANE, /* only where secure TLSA records are there and match */
};

/* "20/s", "1000/m", "5000/h", "100000/d" */
struct config_rate {
	uint32_t count;
	uint32_t per_ms;
};

struct config_delivery {
	uint16_t port; /* of MX hosts: 25 */
	uint32_t concurrency_per_destination; /* connections: 20 */
	uint32_t connections; /* in all: 500 */
	uint32_t messages_per_connection; /* 100 */
	uint32_t recipients_per_transaction; /* 100 */
	uint32_t connect_timeout_ms; /* 30,000 */
	uint32_t idle_ms; /* an open connection is kept for reuse: 2,000 */
	enum config_tls_policy tls; /* may */
	bool ipv6; /* also use AAAA */
	struct net_address source_v4, source_v6; /* bind; .len 0 = any */
	const char *ehlo_name; /* hostname by default */
	const char *ca_file; /* NULL: the system's */
	bool dane, mta_sts; /* honour them: yes */
	const char *shaping; /* file with rules for sites (queue/shaping.h); NULL: only those that are built in */
	uint32_t connection_age_ms; /* a connection is not reused after: 5 min */
	uint16_t https_port; /* of policy hosts (MTA-STS): 443 */
};

/* How these domains' servers are spoken to, whatever `delivery` says. */
struct config_destination {
	const char *name; /* section title */
	size_t domain_count;
	const char *const *domains; /* "example.com", ".example.com" = below, "*" */
	enum config_tls_policy tls;
};

/* An address to send from, with its name. */
struct config_egress {
	const char *name; /* section title */
	struct net_address source_v4, source_v6; /* .len 0: none */
	const char *ehlo_name; /* NULL: delivery.ehlo_name */
	uint32_t weight; /* share of a stream's new connections: 1 */
	uint32_t connections; /* in all; 0: no limit of its own */
	size_t rate_count;
	struct config_rate *rates; /* messages */
	/* A new address earns its reputation: at most so many messages on its first day, its second … ; after the last day there is no ceiling. */
	size_t warm_up_count;
	uint32_t *warm_up;
	int64_t warm_up_start_s; /* Unix time of the first day's 00:00 UTC; 0: no plan */
};

enum config_bounce_addresses { CONFIG_BOUNCES_PLAIN, CONFIG_BOUNCES_SIGNED };

/* A class of mail that goes its own ways. The first section whose rules match takes the message; a rule that is not written does not matter, all that are must match. */
struct config_stream {
	const char *name; /* section title */
	size_t listener_count;
	const char *const *listeners; /* "mx", "submission", "submissions", "local" */
	size_t account_count;
	const char *const *accounts; /* "shop@example.com", "@example.com", "local:www-data" */
	size_t sender_count;
	const char *const *senders; /* reverse-path: "news@example.com", "@example.com" */
	size_t recipient_count;
	const char *const *recipients; /* patterns of domains, or addresses */
	size_t header_count;
	const char *const *headers; /* "List-Unsubscribe", "X-Campaign: spring*": any one of them */
	size_t egress_count;
	const char *const *egress; /* names of egress sections; none: delivery.source_* */
	const struct config_egress **egress_found; /* the same, resolved */
	int32_t priority; /* -9 … 9 (RFC 6710): 0 */
	int64_t retry_first_ms, retry_max_ms, expire_ms; /* 0: as in queue */
	uint32_t connections; /* of the stream in all; 0: no limit of its own */
	uint32_t connections_per_destination; /* 0: as in delivery */
	size_t rate_count;
	struct config_rate *rates; /* messages */
	const char *dkim_domain; /* d=; NULL: the From field's */
	size_t dkim_selector_count;
	const char *const *dkim_selectors; /* none: all active keys of the domain */
	enum config_bounce_addresses
		bounces; /* signed: the reverse-path becomes one of ours that tells message and recipient */
	const char *smarthost; /* everything of it goes through this one; NULL: as usual */
};

/* What is done with a message that fails. */
enum config_verdict { CONFIG_VERDICT_NONE, CONFIG_VERDICT_TAG, CONFIG_VERDICT_QUARANTINE, CONFIG_VERDICT_REJECT };
enum config_arc { CONFIG_ARC_OFF, CONFIG_ARC_VERIFY, CONFIG_ARC_SEAL };

/* Incoming mail from strangers (listener mx, no login, not in relay_from). */
struct config_authentication {
	bool enabled; /* no: nothing is looked up or written */
	const char *authserv_id; /* hostname by default */
	enum config_verdict spf_fail; /* SPF "fail" where DMARC says nothing: tag */
	enum config_verdict dmarc_reject,
		dmarc_quarantine; /* failed, under p=reject / p=quarantine: reject, quarantine */
	enum config_verdict bad_from; /* no From field, or several: reject */
	bool dkim_partial_body; /* signatures count that leave a part of the body unsigned: no */
	enum config_arc arc; /* verify; seal: what is forwarded through an alias is sealed */
	size_t trusted_sealer_count;
	const char *const *trusted_sealers; /* domains whose ARC verdict overrides a DMARC failure */
	uint32_t timeout_ms; /* for all look-ups of one message: 20,000 */
	const char *quarantine_folder; /* Maildir folder: "Junk" */
};

struct config_dkim {
	bool sign; /* what is submitted: yes */
	bool check_published; /* a key signs only once its record is seen in DNS: yes */
};

struct config_reports {
	bool dmarc, tls; /* sent to those who ask for them: yes */
	const char *organization; /* hostname by default */
	const char *from; /* "postmaster@<hostname>" by default */
	const char *mailbox; /* an address of ours: reports that come to it are read and summed up; NULL: none */
	int64_t jitter_ms; /* reports leave within this after midnight UTC: 4 h */
};

enum config_sts_mode { CONFIG_STS_OFF, CONFIG_STS_TESTING, CONFIG_STS_ENFORCE };
/* The policy of our own domains, served by `listen https`. */
struct config_mta_sts {
	enum config_sts_mode mode; /* off */
	size_t mx_count;
	const char *const *mx; /* hostname by default */
	int64_t max_age_ms; /* a week */
};

/* Where users' programs read their mail: a server of somebody else's over our Maildirs. We only tell them its name. TLS from the first byte. */
struct config_clients {
	const char *imap, *pop3; /* "imap.example.com:993", see config_split_host_port(); NULL: none */
	const char *display_name; /* NULL: the domain */
};

struct config_forwarding {
	bool srs; /* the reverse-path of what leaves for another domain through an alias is rewritten: yes */
	const char *domain; /* of the rewritten addresses; NULL: the alias's own */
};

struct config_bounces {
	const char *domain; /* of signed bounce addresses; NULL: the sender's own domain, if it is ours */
	int64_t valid_ms; /* signed addresses take mail for so long: 14 days */
};

enum config_smarthost_tls {
	CONFIG_SMARTHOST_STARTTLS,
	CONFIG_SMARTHOST_IMPLICIT,
	CONFIG_SMARTHOST_CLEAR,
	CONFIG_SMARTHOST_DANE, /* STARTTLS, and its certificate by TLSA records alone */
	CONFIG_SMARTHOST_IMPLICIT_DANE,
};
static inline bool config_smarthost_is_implicit(enum config_smarthost_tls tls)
{
	return tls == CONFIG_SMARTHOST_IMPLICIT || tls == CONFIG_SMARTHOST_IMPLICIT_DANE;
}
static inline bool config_smarthost_is_dane(enum config_smarthost_tls tls)
{
	return tls == CONFIG_SMARTHOST_DANE || tls == CONFIG_SMARTHOST_IMPLICIT_DANE;
}

enum config_smarthost_auth {
	CONFIG_AUTH_ANY, /* the best that is offered: SCRAM-SHA-256, PLAIN, LOGIN */
	CONFIG_AUTH_PLAIN,
	CONFIG_AUTH_LOGIN,
	CONFIG_AUTH_SCRAM_SHA_256,
	CONFIG_AUTH_XOAUTH2,
	CONFIG_AUTH_OAUTHBEARER,
};

struct config_smarthost {
	const char *name; /* section title */
	const char *host; /* a host name or IP; its A/AAAA are used, never its MX */
	uint16_t port;
	enum config_smarthost_tls tls;
	bool verify; /* certificate must verify: true */
	const char *login; /* NULL: none */
	const char *password; /* read from password_file or password_env at load; never logged */
	const char *password_env; /* name of the environment variable */
	enum config_smarthost_auth auth;
	/* OAuth 2 (RFC 6749): an access token instead of a password, for auth = xoauth2 or oauthbearer. */
	const char *oauth_token_url;
	const char *oauth_client_id;
	const char *oauth_client_secret; /* read from oauth_client_secret_file or _env */
	const char *oauth_client_secret_env;
	const char
		*oauth_refresh_token; /* read from oauth_refresh_token_file or _env; NULL: client credentials grant */
	const char *oauth_refresh_token_env;
	const char *oauth_refresh_token_file; /* where it was read from: a new one may be written there */
	const char *oauth_scope;
	const char *certificate, *key; /* client certificate (PEM files) */
	const char *ca_file; /* NULL: delivery.ca_file */
	size_t fallback_count;
	const char *const *fallbacks; /* names of smart hosts to try when this one can't be reached */
	size_t sender_count;
	const char *const *senders; /* only for these reverse-paths: "user@example.com", "@example.com"; none: all */
	size_t domain_count;
	const char *const *domains; /* recipient domains, "*" = all, ".example.com" = below; none: only by name */
	uint32_t concurrency;
	bool hand_on_holds; /* FUTURERELEASE (RFC 4865) is left to it where it can */
};

struct config_dns {
	size_t server_count;
	const char *const *servers; /* "127.0.0.1@5353" */
	const char *trust_anchor_file; /* NULL: default */
	uint32_t timeout_ms;
	size_t block_list_count;
	const char *const *block_lists; /* zones that `postrider doctor` asks about our addresses */
};

struct config_log {
	enum log_target target;
	enum log_format format;
	enum log_level level;
};

struct config {
	uint32_t references; /* private */
	const char *path; /* the file */
	const char *hostname;
	const char *data; /* folder */
	const char *user; /* to drop to when started as root: "postrider" */
	const char *postmaster; /* address that gets mail for postmaster of any of our domains; NULL: first account */
	const char *mail_folder; /* Maildirs: <mail_folder>/<domain>/<local>; default <data>/mail */
	const char *socket; /* local submission (sendmail): default <data>/submit.sock */
	const char *recipient_delimiter; /* "+"; "" = no plus-addresses */
	uint32_t receive_threads; /* loops that hold client connections; 0: half of the cores, at least 1 */
	uint32_t stop_timeout_ms; /* SIGTERM: 10,000 */
	const char *tls_certificate, *tls_key; /* NULL: no TLS offered (submission then can't log in) */
	const char *tls_minimum; /* "1.2" */
	struct config_listener listeners[LISTENER_KINDS];
	struct config_limits limits;
	struct config_queue queue;
	struct config_delivery delivery;
	size_t smarthost_count;
	struct config_smarthost *smarthosts;
	size_t destination_count;
	struct config_destination *destinations;
	size_t egress_count;
	struct config_egress *egresses;
	size_t stream_count;
	struct config_stream *streams;
	struct config_authentication authentication;
	struct config_dkim dkim;
	struct config_reports reports;
	struct config_mta_sts mta_sts;
	struct config_clients clients;
	struct config_forwarding forwarding;
	struct config_bounces bounces;
	struct config_dns dns;
	struct config_log log;
	void *memory; /* private: everything the pointers above point to */
};

/* Reads and checks a file. On failure NULL, and *ret_errors holds one line per error, "FILE:LINE: sentence, and what to write
 * instead (did you mean `…`?)" (buf from the caller). */
struct config *config_load(const char *path, struct buf *ret_errors);
/* The same from text, `name` stands for the file in messages: tests and the fuzzer. */
struct config *config_parse(struct view text, const char *name, struct buf *ret_errors);
struct config *config_ref(struct config *config);
void config_unref(struct config *config); /* thread-safe; NULL is fine */

/* The file to use: the --config argument, $POSTRIDER_CONFIG, /etc/postrider/postrider.conf. */
const char *config_default_path(const char *argument);
/* The smart host for a recipient domain, exact before ".parent" before "*"; NULL: deliver by MX. Borrowed from config. */
const struct config_smarthost *config_find_smarthost(const struct config *config, struct view domain);
/* The same for a message with this reverse-path: sections with `senders` that match it come before those without. */
const struct config_smarthost *config_find_smarthost_for(
	const struct config *config, struct view domain, struct view reverse_path);
/* By name, without case; NULL: there is none. Borrowed. */
const struct config_smarthost *config_smarthost_named(const struct config *config, struct view name);
/* Whether there is a smart host to which holds are handed on. */
bool config_hands_on_holds(const struct config *config);
const struct config_stream *config_stream_named(const struct config *config, struct view name);
const struct config_egress *config_egress_named(const struct config *config, struct view name);
/* The TLS policy for a domain: of its destination section, else delivery.tls. */
enum config_tls_policy config_tls_policy_for(const struct config *config, struct view domain);
/* "example.com", ".example.com", "*" against a domain, without case. */
bool config_pattern_matches(const char *pattern, struct view domain);
/* "user@example.com", "@example.com" or one of the above against an address, without case. */
bool config_address_matches(const char *pattern, struct view address);
/* "imap.example.com:993"; without a port `usual_port`. `text` has passed the check; the view is borrowed from it. */
void config_split_host_port(const char *text, uint16_t usual_port, struct view *ret_host, uint16_t *ret_port);
/* The port that mail programs shall use of a listener: the usual one if it is among its own, else its first; 0: it has none. */
uint16_t config_listener_port(const struct config *config, enum listener_kind kind, uint16_t usual_port);
/* Is there all that a mail program has to be told: where to read mail, and where to submit it? */
bool config_knows_clients(const struct config *config);

#endif
