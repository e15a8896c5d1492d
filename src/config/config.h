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

enum config_tls_policy { CONFIG_TLS_NONE, CONFIG_TLS_MAY, CONFIG_TLS_ENCRYPT, CONFIG_TLS_VERIFY };

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
};

enum config_smarthost_tls { CONFIG_SMARTHOST_STARTTLS, CONFIG_SMARTHOST_IMPLICIT, CONFIG_SMARTHOST_CLEAR };

struct config_smarthost {
	const char *name; /* section title */
	const char *host; /* a host name or IP; its A/AAAA are used, never its MX */
	uint16_t port;
	enum config_smarthost_tls tls;
	bool verify; /* certificate must verify: true */
	const char *login; /* NULL: none */
	const char *password; /* read from password_file at load; never logged */
	size_t domain_count;
	const char *const *domains; /* recipient domains, "*" = all, ".example.com" = below */
	uint32_t concurrency;
};

struct config_dns {
	size_t server_count;
	const char *const *servers; /* "127.0.0.1@5353" */
	const char *trust_anchor_file; /* NULL: default */
	uint32_t timeout_ms;
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

#endif
