#include "config/config_keys.h"

#include "config/config.h"
#include "config/config_private.h"

/* The offset of a field, which must have just that type: a row whose type and field disagree does not compile. */
#define FIELD(ctype, owner, member) _Generic(&((struct owner *)0)->member, ctype * : offsetof(struct owner, member))

#define U16(owner, member, from, to)                                                                                   \
	.type = CONFIG_U16, .offset = FIELD(uint16_t, owner, member), .minimum = (from), .maximum = (to)
#define U32(owner, member, from, to)                                                                                   \
	.type = CONFIG_U32, .offset = FIELD(uint32_t, owner, member), .minimum = (from), .maximum = (to)
#define MS32(owner, member, from, to)                                                                                  \
	.type = CONFIG_DURATION_U32, .offset = FIELD(uint32_t, owner, member), .minimum = (from), .maximum = (to)
#define MS64(owner, member, from, to)                                                                                  \
	.type = CONFIG_DURATION_I64, .offset = FIELD(int64_t, owner, member), .minimum = (from), .maximum = (to)
#define BYTES(owner, member, from, to)                                                                                 \
	.type = CONFIG_SIZE, .offset = FIELD(uint64_t, owner, member), .minimum = (from), .maximum = (to)
#define YES_NO(owner, member) .type = CONFIG_BOOL, .offset = FIELD(bool, owner, member)
#define CHOICE(ctype, owner, member, list)                                                                             \
	.type = CONFIG_CHOICE, .offset = FIELD(ctype, owner, member), .choices = (list)
#define WORD(owner, member, list) .type = CONFIG_WORD, .offset = FIELD(const char *, owner, member), .choices = (list)
#define TEXT(owner, member) .type = CONFIG_TEXT, .offset = FIELD(const char *, owner, member)
#define PASSWORD_FILE(owner, member) .type = CONFIG_PASSWORD_FILE, .offset = FIELD(const char *, owner, member)
#define IPV4(owner, member) .type = CONFIG_IPV4, .offset = FIELD(struct net_address, owner, member)
#define IPV6(owner, member) .type = CONFIG_IPV6, .offset = FIELD(struct net_address, owner, member)
#define TEXTS(owner, member, count)                                                                                    \
	.type = CONFIG_TEXT_LIST, .offset = FIELD(const char *const *, owner, member),                                 \
	.count_offset = FIELD(size_t, owner, count)
#define LISTENS(owner, member, count)                                                                                  \
	.type = CONFIG_LISTEN_LIST, .offset = FIELD(struct net_address *, owner, member),                              \
	.count_offset = FIELD(size_t, owner, count)
#define RANGES(owner, member, count)                                                                                   \
	.type = CONFIG_RANGE_LIST, .offset = FIELD(struct net_range *, owner, member),                                 \
	.count_offset = FIELD(size_t, owner, count)

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
#define DAY ((uint64_t)24 * HOUR)
#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static const char *const tls_versions[] = { "1.0", "1.1", "1.2", "1.3", NULL };
static const char *const delivery_tls[] = { "none", "may", "encrypt", "verify", NULL };
static const char *const smarthost_tls[] = { "starttls", "implicit", "clear", NULL };
static const char *const log_targets[] = { "stderr", "syslog", "journald", NULL };
static const char *const log_formats[] = { "logfmt", "json", NULL };
static const char *const log_levels[] = { "error", "warning", "info", "debug", NULL };
_Static_assert(CONFIG_TLS_NONE == 0 && CONFIG_TLS_VERIFY == 3, "order of delivery_tls");
_Static_assert(CONFIG_SMARTHOST_STARTTLS == 0 && CONFIG_SMARTHOST_CLEAR == 2, "order of smarthost_tls");
_Static_assert(LOG_TARGET_STDERR == 0 && LOG_TARGET_SYSLOG == 1 && LOG_TARGET_JOURNALD == 2, "order of log_targets");
_Static_assert(LOG_FORMAT_LOGFMT == 0 && LOG_FORMAT_JSON == 1, "order of log_formats");
_Static_assert(LOG_LEVEL_ERROR == 0 && LOG_LEVEL_DEBUG == 3, "order of log_levels");

static const struct config_section_kind kinds[] = {
	{ "", false, "", "the server as a whole" },
	{ "tls", false, "tls { … }", "encryption for clients" },
	{ "listen", true, "listen mx|submission|submissions { … }", "where clients connect" },
	{ "limits", false, "limits { … }", "what one client, and all together, may use" },
	{ "queue", false, "queue { … }", "when mail is tried again and when it is given up" },
	{ "delivery", false, "delivery { … }", "sending to other servers" },
	{ "smarthost", true, "smarthost NAME { … }", "a server that mail is sent through" },
	{ "dns", false, "dns { … }", "where names are looked up" },
	{ "log", false, "log { … }", "the log" },
};

/* One row a key; tools/manual_check reads section, name and default at the start of each row. */
/* clang-format off */
static const struct config_key keys[] = {
	{ "", "hostname", NULL, TEXT(config, hostname), .check = config_check_hostname,
	  .default_note = "must be set", .example = "mail.example.com",
	  .what = "this server's full name, as DNS knows it: in greetings, Received fields and bounces" },
	{ "", "data", "/var/lib/postrider", TEXT(config, data), .check = config_check_path,
	  .what = "folder of the queue, the directory and the mail" },
	{ "", "user", "postrider", TEXT(config, user), .check = config_check_user,
	  .what = "the account to run as when started as root" },
	{ "", "postmaster", NULL, TEXT(config, postmaster), .check = config_check_address,
	  .default_note = "the first account", .example = "admin@example.com",
	  .what = "who gets mail for postmaster of our domains" },
	{ "", "mail_folder", NULL, TEXT(config, mail_folder), .check = config_check_path,
	  .default_note = "`mail` in the data folder", .example = "/var/lib/postrider/mail",
	  .what = "Maildirs are <mail_folder>/<domain>/<user>" },
	{ "", "socket", NULL, TEXT(config, socket), .check = config_check_socket,
	  .default_note = "`submit.sock` in the data folder", .example = "/var/lib/postrider/submit.sock",
	  .what = "socket for mail from programs on this machine (sendmail)" },
	{ "", "recipient_delimiter", "+", TEXT(config, recipient_delimiter), .check = config_check_delimiter,
	  .what = "user+tag@ is delivered to user@; \"\" switches that off" },
	{ "", "receive_threads", "0", U32(config, receive_threads, 0, 256),
	  .what = "threads for client connections; 0: half of the processor cores" },
	{ "", "stop_timeout", "10s", MS32(config, stop_timeout_ms, 0, 10 * MINUTE),
	  .what = "how long connections may finish after SIGTERM" },

	{ "tls", "certificate", NULL, TEXT(config, tls_certificate), .check = config_check_path,
	  .default_note = "no TLS", .example = "/etc/postrider/fullchain.pem",
	  .what = "certificate chain (PEM file)" },
	{ "tls", "key", NULL, TEXT(config, tls_key), .check = config_check_path,
	  .default_note = "no TLS", .example = "/etc/postrider/privkey.pem",
	  .what = "its private key (PEM file)" },
	{ "tls", "minimum", "1.2", WORD(config, tls_minimum, tls_versions),
	  .what = "oldest TLS version that clients may use" },

	{ "listen", "address", NULL, LISTENS(config_listener, addresses, address_count),
	  .default_note = "must be set", .example = "*:25",
	  .what = "addresses and ports: \"*:25\", \"192.0.2.1:25\", \"[2001:db8::1]:25\"" },
	{ "listen", "relay_from", NULL, RANGES(config_listener, relay_from, relay_from_count),
	  .default_note = "none", .example = "10.0.0.0/8",
	  .what = "networks whose clients may send to anybody without a login" },
	{ "listen", "normalise_line_ends", "no", YES_NO(config_listener, normalise_line_ends),
	  .what = "from these networks, take a bare CR or LF in a message as a line end instead of refusing it" },

	{ "limits", "connections", "10000", U32(config, limits.connections, 1, 1000000),
	  .what = "client connections at one time" },
	{ "limits", "connections_per_address", "100", U32(config, limits.connections_per_address, 1, 1000000),
	  .what = "the same from one IPv4 address or IPv6 /64 network" },
	{ "limits", "commands_per_session", "1000", U32(config, limits.commands_per_session, 10, 10000000),
	  .what = "commands in one connection, besides those that carry mail (MAIL, RCPT, DATA, BDAT)" },
	{ "limits", "errors_per_session", "20", U32(config, limits.errors_per_session, 1, 100000),
	  .what = "refused commands in one connection" },
	{ "limits", "messages_per_session", "1000", U32(config, limits.messages_per_session, 1, 999999),
	  .what = "messages in one connection" },
	{ "limits", "auth_failures_per_session", "5", U32(config, limits.auth_failures_per_session, 1, 1000),
	  .what = "failed logins in one connection" },
	{ "limits", "recipients_per_message", "1000", U32(config, limits.recipients_per_message, 1, 100000),
	  .what = "recipients of one message (RFC 5321 asks for 100 at least)" },
	{ "limits", "message_size", "50M", BYTES(config, limits.message_size_bytes, 64 * KIB, 2 * GIB),
	  .what = "largest message" },
	{ "limits", "idle_timeout", "5m", MS32(config, limits.idle_timeout_ms, SECOND, HOUR),
	  .what = "wait for the next command (RFC 5321 asks for 5m)" },
	{ "limits", "data_timeout", "3m", MS32(config, limits.data_timeout_ms, SECOND, HOUR),
	  .what = "wait for the next piece of a message" },
	{ "limits", "message_timeout", "1h", MS32(config, limits.message_timeout_ms, SECOND, DAY),
	  .what = "time for one whole message" },
	{ "limits", "hops", "100", U32(config, limits.hops, 10, 10000),
	  .what = "Received fields in a message; more is a loop" },
	{ "limits", "body_memory", "256M", BYTES(config, limits.body_memory_bytes, MIB, 64 * GIB),
	  .what = "memory for all messages under way; beyond it they go to files" },
	{ "limits", "inline_body", "1M", BYTES(config, limits.inline_body_bytes, KIB, 64 * MIB),
	  .what = "larger messages are kept in files beside the database" },

	{ "queue", "retry_first", "5m", MS64(config, queue.retry_first_ms, 100, DAY),
	  .what = "wait after the first failed try; doubled each time" },
	{ "queue", "retry_max", "4h", MS64(config, queue.retry_max_ms, 100, 7 * DAY),
	  .what = "longest wait between two tries" },
	{ "queue", "expire", "5d", MS64(config, queue.expire_ms, SECOND, 60 * DAY),
	  .what = "give up and return a message after" },
	{ "queue", "expire_bounce", "1d", MS64(config, queue.expire_bounce_ms, SECOND, 60 * DAY),
	  .what = "give up bounces and other messages without a return address after" },
	{ "queue", "warn_after", "4h", MS64(config, queue.warn_after_ms, 0, 60 * DAY),
	  .what = "tell the sender about a delay after; 0: never" },
	{ "queue", "active_recipients", "20000", U32(config, queue.active_recipients, 10, 10000000),
	  .what = "recipients held in memory at one time; the others wait on disk" },

	{ "delivery", "port", "25", U16(config, delivery.port, 1, 65535),
	  .what = "port of other domains' servers" },
	{ "delivery", "concurrency_per_destination", "20",
	  U32(config, delivery.concurrency_per_destination, 1, 10000),
	  .what = "connections to one destination" },
	{ "delivery", "connections", "500", U32(config, delivery.connections, 1, 100000),
	  .what = "connections to all destinations" },
	{ "delivery", "messages_per_connection", "100", U32(config, delivery.messages_per_connection, 1, 1000000),
	  .what = "messages sent over one connection" },
	{ "delivery", "recipients_per_transaction", "100", U32(config, delivery.recipients_per_transaction, 1, 10000),
	  .what = "recipients of one message sent together" },
	{ "delivery", "connect_timeout", "30s", MS32(config, delivery.connect_timeout_ms, 100, 10 * MINUTE),
	  .what = "wait for a connection before the next host is tried" },
	{ "delivery", "idle", "2s", MS32(config, delivery.idle_ms, 0, 5 * MINUTE),
	  .what = "how long an open connection waits for a further message" },
	{ "delivery", "tls", "may", CHOICE(enum config_tls_policy, config, delivery.tls, delivery_tls),
	  .what = "none: never; may: when offered; encrypt: always; verify: always, with a valid certificate" },
	{ "delivery", "ipv6", "yes", YES_NO(config, delivery.ipv6),
	  .what = "also connect over IPv6" },
	{ "delivery", "source_ipv4", NULL, IPV4(config, delivery.source_v4),
	  .default_note = "the system chooses", .example = "192.0.2.1",
	  .what = "own IPv4 address to send from" },
	{ "delivery", "source_ipv6", NULL, IPV6(config, delivery.source_v6),
	  .default_note = "the system chooses", .example = "2001:db8::1",
	  .what = "own IPv6 address to send from" },
	{ "delivery", "ehlo_name", NULL, TEXT(config, delivery.ehlo_name), .check = config_check_ehlo_name,
	  .default_note = "hostname", .example = "mail.example.com",
	  .what = "name to greet other servers with; should match the sending address in DNS" },
	{ "delivery", "ca_file", NULL, TEXT(config, delivery.ca_file), .check = config_check_path,
	  .default_note = "the system's", .example = "/etc/ssl/certs/ca-certificates.crt",
	  .what = "certificate authorities to trust (PEM file)" },

	{ "smarthost", "host", NULL, TEXT(config_smarthost, host), .check = config_check_host,
	  .default_note = "must be set", .example = "smtp.example.net",
	  .what = "name or IP address of the server; its MX records are not looked at" },
	{ "smarthost", "port", NULL, U16(config_smarthost, port, 1, 65535),
	  .default_note = "587; 465 with tls = implicit; 25 with tls = clear", .example = "587",
	  .what = "its port" },
	{ "smarthost", "tls", "starttls", CHOICE(enum config_smarthost_tls, config_smarthost, tls, smarthost_tls),
	  .what = "starttls, implicit (TLS from the first byte), or clear" },
	{ "smarthost", "verify", "yes", YES_NO(config_smarthost, verify),
	  .what = "its certificate must be valid for its name" },
	{ "smarthost", "login", NULL, TEXT(config_smarthost, login), .check = config_check_login,
	  .default_note = "no login", .example = "you@example.net",
	  .what = "user name there" },
	{ "smarthost", "password_file", NULL, PASSWORD_FILE(config_smarthost, password), .check = config_check_path,
	  .default_note = "no login", .example = "/etc/postrider/smarthost.password",
	  .what = "file whose first line is the password there" },
	{ "smarthost", "domains", "*", TEXTS(config_smarthost, domains, domain_count), .check = config_check_pattern,
	  .what = "recipient domains that go through it: \"example.com\", \".example.com\" (all below), \"*\" (all)" },
	{ "smarthost", "concurrency", "10", U32(config_smarthost, concurrency, 1, 10000),
	  .what = "connections to it" },

	{ "dns", "servers", NULL, TEXTS(config, dns.servers, dns.server_count), .check = config_check_dns_server,
	  .default_note = "those of /etc/resolv.conf", .example = "127.0.0.1",
	  .what = "addresses of resolvers: \"127.0.0.1\", \"127.0.0.1@5353\"" },
	{ "dns", "trust_anchor", NULL, TEXT(config, dns.trust_anchor_file), .check = config_check_path,
	  .default_note = "/usr/share/dns/root.key, if it exists and if it works", .example = "/usr/share/dns/root.key",
	  .what = "file with the DNSSEC root key" },
	{ "dns", "timeout", "20s", MS32(config, dns.timeout_ms, 100, 10 * MINUTE),
	  .what = "time for one question" },

	{ "log", "to", "stderr", CHOICE(enum log_target, config, log.target, log_targets),
	  .what = "stderr, syslog or journald" },
	{ "log", "format", "logfmt", CHOICE(enum log_format, config, log.format, log_formats),
	  .what = "logfmt (key=value) or json" },
	{ "log", "level", "info", CHOICE(enum log_level, config, log.level, log_levels),
	  .what = "error, warning, info or debug" },
};
/* clang-format on */

const struct config_key *config_keys(size_t *ret_count)
{
	*ret_count = sizeof keys / sizeof keys[0];
	return keys;
}

const struct config_section_kind *config_section_kinds(size_t *ret_count)
{
	*ret_count = sizeof kinds / sizeof kinds[0];
	return kinds;
}

const struct config_key *config_key_find(struct view section, struct view name)
{
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (view_eq(view_from_cstr(keys[i].name), name) && view_eq(view_from_cstr(keys[i].section), section))
			return &keys[i];
	return NULL;
}

const struct config_section_kind *config_section_kind_find(struct view name)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (view_eq(view_from_cstr(kinds[i].name), name))
			return &kinds[i];
	return NULL;
}

bool config_key_is_list(const struct config_key *key)
{
	return key->type == CONFIG_TEXT_LIST || key->type == CONFIG_LISTEN_LIST || key->type == CONFIG_RANGE_LIST;
}
