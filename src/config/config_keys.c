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
#define I32(owner, member, most) .type = CONFIG_I32, .offset = FIELD(int32_t, owner, member), .maximum = (most)
#define DATE(owner, member) .type = CONFIG_DATE, .offset = FIELD(int64_t, owner, member)
#define U32S(owner, member, count, from, to)                                                                           \
	.type = CONFIG_U32_LIST, .offset = FIELD(uint32_t *, owner, member),                                           \
	.count_offset = FIELD(size_t, owner, count), .minimum = (from), .maximum = (to)
#define RATES(owner, member, count)                                                                                    \
	.type = CONFIG_RATE_LIST, .offset = FIELD(struct config_rate *, owner, member),                                \
	.count_offset = FIELD(size_t, owner, count)
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
static const char *const delivery_tls[] = { "none", "may", "encrypt", "verify", "dane", NULL };
static const char *const smarthost_tls[] = { "starttls", "implicit", "clear", "dane", "implicit-dane", NULL };
static const char *const smarthost_auth[] = { "any", "plain", "login", "scram-sha-256", "xoauth2", "oauthbearer",
	NULL };
static const char *const verdicts[] = { "none", "tag", "quarantine", "reject", NULL };
static const char *const arc_modes[] = { "off", "verify", "seal", NULL };
static const char *const sts_modes[] = { "off", "testing", "enforce", NULL };
static const char *const bounce_addresses[] = { "plain", "signed", NULL };
static const char *const log_targets[] = { "stderr", "syslog", "journald", NULL };
static const char *const log_formats[] = { "logfmt", "json", NULL };
static const char *const log_levels[] = { "error", "warning", "info", "debug", NULL };
_Static_assert(CONFIG_TLS_NONE == 0 && CONFIG_TLS_DANE == 4, "order of delivery_tls");
_Static_assert(CONFIG_AUTH_ANY == 0 && CONFIG_AUTH_OAUTHBEARER == 5, "order of smarthost_auth");
_Static_assert(CONFIG_VERDICT_NONE == 0 && CONFIG_VERDICT_REJECT == 3, "order of verdicts");
_Static_assert(CONFIG_ARC_OFF == 0 && CONFIG_ARC_SEAL == 2, "order of arc_modes");
_Static_assert(CONFIG_STS_OFF == 0 && CONFIG_STS_ENFORCE == 2, "order of sts_modes");
_Static_assert(CONFIG_BOUNCES_PLAIN == 0 && CONFIG_BOUNCES_SIGNED == 1, "order of bounce_addresses");
_Static_assert(CONFIG_SMARTHOST_STARTTLS == 0 && CONFIG_SMARTHOST_IMPLICIT_DANE == 4, "order of smarthost_tls");
_Static_assert(LOG_TARGET_STDERR == 0 && LOG_TARGET_SYSLOG == 1 && LOG_TARGET_JOURNALD == 2, "order of log_targets");
_Static_assert(LOG_FORMAT_LOGFMT == 0 && LOG_FORMAT_JSON == 1, "order of log_formats");
_Static_assert(LOG_LEVEL_ERROR == 0 && LOG_LEVEL_DEBUG == 3, "order of log_levels");

static const struct config_section_kind kinds[] = {
	{ "", false, "", "the server as a whole" },
	{ "tls", false, "tls { … }", "encryption for clients" },
	{ "listen", true, "listen mx|submission|submissions|https { … }", "where clients connect" },
	{ "limits", false, "limits { … }", "what one client, and all together, may use" },
	{ "queue", false, "queue { … }", "when mail is tried again and when it is given up" },
	{ "delivery", false, "delivery { … }", "sending to other servers" },
	{ "smarthost", true, "smarthost NAME { … }", "a server that mail is sent through" },
	{ "destination", true, "destination NAME { … }", "domains whose servers are spoken to in a way of their own" },
	{ "egress", true, "egress NAME { … }", "an address to send from" },
	{ "stream", true, "stream NAME { … }", "a class of mail that goes its own ways" },
	{ "authentication", false, "authentication { … }", "SPF, DKIM, DMARC and ARC of incoming mail" },
	{ "dkim", false, "dkim { … }", "signing what is sent" },
	{ "reports", false, "reports { … }", "reports about authentication and TLS, to others and from them" },
	{ "mta_sts", false, "mta_sts { … }", "the TLS policy of our own domains, for those who send to them" },
	{ "clients", false, "clients { … }", "where users' programs read their mail" },
	{ "forwarding", false, "forwarding { … }", "mail that leaves again through an alias" },
	{ "bounces", false, "bounces { … }", "return addresses that tell which message came back" },
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
	  .what = "none: never; may: when offered; encrypt: always; verify: always, with a valid certificate; dane: only with DANE" },
	{ "delivery", "dane", "yes", YES_NO(config, delivery.dane),
	  .what = "where a domain publishes secure TLSA records, send only to servers that match them (DANE)" },
	{ "delivery", "mta_sts", "yes", YES_NO(config, delivery.mta_sts),
	  .what = "where a domain publishes an MTA-STS policy, follow it" },
	{ "delivery", "https_port", "443", U16(config, delivery.https_port, 1, 65535),
	  .what = "port of the servers that MTA-STS policies are fetched from" },
	{ "delivery", "shaping", NULL, TEXT(config, delivery.shaping), .check = config_check_path,
	  .default_note = "only the built-in rules", .example = "/etc/postrider/shaping.rules",
	  .what = "file with rules about how large sites are sent to" },
	{ "delivery", "connection_age", "5m", MS32(config, delivery.connection_age_ms, SECOND, DAY),
	  .what = "how long one connection may be used" },
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
	  .default_note = "587; 465 with tls = implicit or implicit-dane; 25 with tls = clear", .example = "587",
	  .what = "its port" },
	{ "smarthost", "tls", "starttls", CHOICE(enum config_smarthost_tls, config_smarthost, tls, smarthost_tls),
	  .what = "starttls, implicit (TLS from the first byte), or clear; dane, implicit-dane: and only with its DANE records" },
	{ "smarthost", "verify", "yes", YES_NO(config_smarthost, verify),
	  .what = "its certificate must be valid for its name" },
	{ "smarthost", "login", NULL, TEXT(config_smarthost, login), .check = config_check_login,
	  .default_note = "no login", .example = "you@example.net",
	  .what = "user name there" },
	{ "smarthost", "password_file", NULL, PASSWORD_FILE(config_smarthost, password), .check = config_check_path,
	  .default_note = "no login", .example = "/etc/postrider/smarthost.password",
	  .what = "file whose first line is the password there" },
	{ "smarthost", "password_env", NULL, TEXT(config_smarthost, password_env), .check = config_check_env,
	  .default_note = "none", .example = "SMARTHOST_PASSWORD",
	  .what = "environment variable with the password, instead of a file" },
	{ "smarthost", "auth", "any", CHOICE(enum config_smarthost_auth, config_smarthost, auth, smarthost_auth),
	  .what = "how to log in; any: the best of SCRAM-SHA-256, PLAIN and LOGIN that it offers" },
	{ "smarthost", "oauth_token_url", NULL, TEXT(config_smarthost, oauth_token_url), .check = config_check_url,
	  .default_note = "none", .example = "https://oauth2.googleapis.com/token",
	  .what = "where access tokens are asked for, with auth = xoauth2 or oauthbearer" },
	{ "smarthost", "oauth_client_id", NULL, TEXT(config_smarthost, oauth_client_id), .check = config_check_login,
	  .default_note = "none", .example = "1234.apps.googleusercontent.com",
	  .what = "client id there" },
	{ "smarthost", "oauth_client_secret_file", NULL, PASSWORD_FILE(config_smarthost, oauth_client_secret),
	  .check = config_check_path,
	  .default_note = "none", .example = "/etc/postrider/oauth.secret",
	  .what = "file whose first line is the client's secret" },
	{ "smarthost", "oauth_client_secret_env", NULL, TEXT(config_smarthost, oauth_client_secret_env),
	  .check = config_check_env,
	  .default_note = "none", .example = "OAUTH_CLIENT_SECRET",
	  .what = "environment variable with the client's secret" },
	{ "smarthost", "oauth_refresh_token_file", NULL, PASSWORD_FILE(config_smarthost, oauth_refresh_token),
	  .check = config_check_path,
	  .default_note = "client credentials are used", .example = "/etc/postrider/oauth.refresh",
	  .what = "file whose first line is the refresh token" },
	{ "smarthost", "oauth_refresh_token_env", NULL, TEXT(config_smarthost, oauth_refresh_token_env),
	  .check = config_check_env,
	  .default_note = "client credentials are used", .example = "OAUTH_REFRESH_TOKEN",
	  .what = "environment variable with the refresh token" },
	{ "smarthost", "oauth_scope", NULL, TEXT(config_smarthost, oauth_scope), .check = config_check_text,
	  .default_note = "none", .example = "https://outlook.office365.com/.default",
	  .what = "scope to ask for" },
	{ "smarthost", "certificate", NULL, TEXT(config_smarthost, certificate), .check = config_check_path,
	  .default_note = "none", .example = "/etc/postrider/client.pem",
	  .what = "client certificate to show there (PEM file)" },
	{ "smarthost", "key", NULL, TEXT(config_smarthost, key), .check = config_check_path,
	  .default_note = "none", .example = "/etc/postrider/client.key",
	  .what = "its private key (PEM file)" },
	{ "smarthost", "ca_file", NULL, TEXT(config_smarthost, ca_file), .check = config_check_path,
	  .default_note = "that of delivery", .example = "/etc/postrider/their-ca.pem",
	  .what = "certificate authorities to trust there (PEM file)" },
	{ "smarthost", "fallbacks", NULL, TEXTS(config_smarthost, fallbacks, fallback_count), .check = config_check_text,
	  .default_note = "none", .example = "second",
	  .what = "names of other smarthost sections to try, in order, when this one can't be reached" },
	{ "smarthost", "senders", NULL, TEXTS(config_smarthost, senders, sender_count),
	  .check = config_check_address_pattern,
	  .default_note = "all", .example = "@example.com",
	  .what = "only mail from these return addresses: \"user@example.com\", \"@example.com\"" },
	{ "smarthost", "domains", NULL, TEXTS(config_smarthost, domains, domain_count), .check = config_check_pattern,
	  .default_note = "all; none, if it is the fallback of another or named by a stream", .example = "*",
	  .what = "recipient domains that go through it: \"example.com\", \".example.com\" (all below), \"*\" (all)" },
	{ "smarthost", "concurrency", "10", U32(config_smarthost, concurrency, 1, 10000),
	  .what = "connections to it" },
	{ "smarthost", "hand_on_holds", "no", YES_NO(config_smarthost, hand_on_holds),
	  .what = "leave mail that is to be held for later (FUTURERELEASE) to it, if it offers to hold it as long" },

	{ "destination", "domains", NULL, TEXTS(config_destination, domains, domain_count), .check = config_check_pattern,
	  .default_note = "must be set", .example = "bank.example",
	  .what = "recipient domains: \"example.com\", \".example.com\" (all below), \"*\" (all)" },
	{ "destination", "tls", "may", CHOICE(enum config_tls_policy, config_destination, tls, delivery_tls),
	  .what = "none, may, encrypt, verify or dane, as in delivery" },

	{ "egress", "source_ipv4", NULL, IPV4(config_egress, source_v4),
	  .default_note = "none", .example = "192.0.2.1",
	  .what = "own IPv4 address to send from" },
	{ "egress", "source_ipv6", NULL, IPV6(config_egress, source_v6),
	  .default_note = "none", .example = "2001:db8::1",
	  .what = "own IPv6 address to send from" },
	{ "egress", "ehlo_name", NULL, TEXT(config_egress, ehlo_name), .check = config_check_ehlo_name,
	  .default_note = "that of delivery", .example = "out1.example.com",
	  .what = "name to greet other servers with; should match the address in DNS" },
	{ "egress", "weight", "1", U32(config_egress, weight, 0, 1000),
	  .what = "its share of a stream's connections; 0: none" },
	{ "egress", "connections", "0", U32(config_egress, connections, 0, 100000),
	  .what = "connections from it at one time; 0: no limit of its own" },
	{ "egress", "rate", NULL, RATES(config_egress, rates, rate_count),
	  .default_note = "no limit", .example = "20/s",
	  .what = "most messages from it" },
	{ "egress", "warm_up", NULL, U32S(config_egress, warm_up, warm_up_count, 1, 1000000000),
	  .default_note = "none", .example = "50",
	  .what = "for a new address: most messages on its first day, its second …; later days have no ceiling" },
	{ "egress", "warm_up_start", NULL, DATE(config_egress, warm_up_start_s),
	  .default_note = "no plan", .example = "2026-12-01",
	  .what = "the first of these days" },

	{ "stream", "listeners", NULL, TEXTS(config_stream, listeners, listener_count), .check = config_check_listener,
	  .default_note = "any", .example = "submission",
	  .what = "mail that came in there: mx, submission, submissions, local" },
	{ "stream", "accounts", NULL, TEXTS(config_stream, accounts, account_count), .check = config_check_account_pattern,
	  .default_note = "any", .example = "shop@example.com",
	  .what = "mail of these logins: \"shop@example.com\", \"@example.com\", \"local:www-data\"" },
	{ "stream", "senders", NULL, TEXTS(config_stream, senders, sender_count), .check = config_check_address_pattern,
	  .default_note = "any", .example = "news@example.com",
	  .what = "mail with these return addresses" },
	{ "stream", "recipients", NULL, TEXTS(config_stream, recipients, recipient_count),
	  .check = config_check_address_pattern,
	  .default_note = "any", .example = "example.net",
	  .what = "mail to these domains or addresses" },
	{ "stream", "headers", NULL, TEXTS(config_stream, headers, header_count), .check = config_check_header_rule,
	  .default_note = "any", .example = "List-Unsubscribe",
	  .what = "mail with one of these fields: \"List-Unsubscribe\", \"X-Campaign: spring*\"" },
	{ "stream", "egress", NULL, TEXTS(config_stream, egress, egress_count), .check = config_check_text,
	  .default_note = "the source addresses of delivery", .example = "ip1",
	  .what = "names of egress sections to send from" },
	{ "stream", "priority", "0", I32(config_stream, priority, 9),
	  .what = "from -9 to 9: higher ones go first" },
	{ "stream", "retry_first", "0", MS64(config_stream, retry_first_ms, 0, DAY),
	  .what = "as in queue; 0: that of queue" },
	{ "stream", "retry_max", "0", MS64(config_stream, retry_max_ms, 0, 7 * DAY),
	  .what = "as in queue; 0: that of queue" },
	{ "stream", "expire", "0", MS64(config_stream, expire_ms, 0, 60 * DAY),
	  .what = "as in queue; 0: that of queue" },
	{ "stream", "connections", "0", U32(config_stream, connections, 0, 100000),
	  .what = "connections of the stream at one time; 0: no limit of its own" },
	{ "stream", "connections_per_destination", "0", U32(config_stream, connections_per_destination, 0, 10000),
	  .what = "the same to one destination; 0: as in delivery" },
	{ "stream", "rate", NULL, RATES(config_stream, rates, rate_count),
	  .default_note = "no limit", .example = "100000/h",
	  .what = "most messages of the stream" },
	{ "stream", "dkim_domain", NULL, TEXT(config_stream, dkim_domain), .check = config_check_hostname,
	  .default_note = "that of the From field", .example = "example.com",
	  .what = "domain to sign its mail for" },
	{ "stream", "dkim_selectors", NULL, TEXTS(config_stream, dkim_selectors, dkim_selector_count),
	  .check = config_check_selector,
	  .default_note = "all active keys of the domain", .example = "shop",
	  .what = "keys to sign its mail with" },
	{ "stream", "bounces", "plain", CHOICE(enum config_bounce_addresses, config_stream, bounces, bounce_addresses),
	  .what = "signed: the return address of each recipient's copy tells which one it was" },
	{ "stream", "smarthost", NULL, TEXT(config_stream, smarthost), .check = config_check_text,
	  .default_note = "as for other mail", .example = "provider",
	  .what = "name of the smarthost section that all of it goes through" },

	{ "authentication", "enabled", "yes", YES_NO(config, authentication.enabled),
	  .what = "check SPF, DKIM and DMARC of mail from outside" },
	{ "authentication", "authserv_id", NULL, TEXT(config, authentication.authserv_id), .check = config_check_hostname,
	  .default_note = "hostname", .example = "mail.example.com",
	  .what = "our name in Authentication-Results fields" },
	{ "authentication", "spf_fail", "tag", CHOICE(enum config_verdict, config, authentication.spf_fail, verdicts),
	  .what = "what to do when SPF says fail and DMARC says nothing: none, tag, quarantine (to Junk) or reject" },
	{ "authentication", "dmarc_reject", "reject",
	  CHOICE(enum config_verdict, config, authentication.dmarc_reject, verdicts),
	  .what = "what to do when DMARC fails and the domain asks to reject" },
	{ "authentication", "dmarc_quarantine", "quarantine",
	  CHOICE(enum config_verdict, config, authentication.dmarc_quarantine, verdicts),
	  .what = "what to do when DMARC fails and the domain asks for quarantine" },
	{ "authentication", "bad_from", "reject", CHOICE(enum config_verdict, config, authentication.bad_from, verdicts),
	  .what = "what to do with a message that has no From field, or several" },
	{ "authentication", "dkim_partial_body", "no", YES_NO(config, authentication.dkim_partial_body),
	  .what = "a DKIM signature counts that says nothing of the body's last part (l=), which anybody may have added" },
	{ "authentication", "arc", "verify", CHOICE(enum config_arc, config, authentication.arc, arc_modes),
	  .what = "off; verify: read ARC chains; seal: also sign what we forward" },
	{ "authentication", "trusted_sealers", NULL,
	  TEXTS(config, authentication.trusted_sealers, authentication.trusted_sealer_count),
	  .check = config_check_pattern,
	  .default_note = "none", .example = "lists.example.org",
	  .what = "domains whose ARC seal excuses a DMARC failure" },
	{ "authentication", "timeout", "20s", MS32(config, authentication.timeout_ms, SECOND, 5 * MINUTE),
	  .what = "time for all look-ups of one message" },
	{ "authentication", "quarantine_folder", "Junk", TEXT(config, authentication.quarantine_folder),
	  .check = config_check_folder,
	  .what = "folder for quarantined mail" },

	{ "dkim", "sign", "yes", YES_NO(config, dkim.sign),
	  .what = "sign what our users submit, for domains that have a key (postrider dkim new)" },
	{ "dkim", "check_published", "yes", YES_NO(config, dkim.check_published),
	  .what = "use a new key only once its record is seen in DNS" },

	{ "reports", "dmarc", "yes", YES_NO(config, reports.dmarc),
	  .what = "send daily DMARC reports to domains that ask for them" },
	{ "reports", "tls", "yes", YES_NO(config, reports.tls),
	  .what = "send daily TLS reports to domains that ask for them" },
	{ "reports", "organization", NULL, TEXT(config, reports.organization), .check = config_check_text,
	  .default_note = "hostname", .example = "Example Company",
	  .what = "who reports" },
	{ "reports", "from", NULL, TEXT(config, reports.from), .check = config_check_address,
	  .default_note = "postmaster at hostname", .example = "dmarc@example.com",
	  .what = "address that reports come from" },
	{ "reports", "mailbox", NULL, TEXT(config, reports.mailbox), .check = config_check_address,
	  .default_note = "none", .example = "dmarc@example.com",
	  .what = "account of ours whose mail is read for reports by others" },
	{ "reports", "jitter", "4h", MS64(config, reports.jitter_ms, 0, 20 * HOUR),
	  .what = "reports leave within this time after midnight UTC" },

	{ "mta_sts", "mode", "off", CHOICE(enum config_sts_mode, config, mta_sts.mode, sts_modes),
	  .what = "off, testing or enforce: what `listen https` says of our domains" },
	{ "mta_sts", "mx", NULL, TEXTS(config, mta_sts.mx, mta_sts.mx_count), .check = config_check_mx_pattern,
	  .default_note = "hostname", .example = "mail.example.com",
	  .what = "names of our domains' MX hosts, as in DNS" },
	{ "mta_sts", "max_age", "1w", MS64(config, mta_sts.max_age_ms, DAY, 365 * DAY),
	  .what = "how long others may keep the policy" },

	{ "clients", "imap", NULL, TEXT(config, clients.imap), .check = config_check_host_port,
	  .default_note = "none", .example = "imap.example.com:993",
	  .what = "IMAP server of our users, with TLS from the first byte" },
	{ "clients", "pop3", NULL, TEXT(config, clients.pop3), .check = config_check_host_port,
	  .default_note = "none", .example = "imap.example.com:995",
	  .what = "POP3 server of our users, with TLS from the first byte" },
	{ "clients", "display_name", NULL, TEXT(config, clients.display_name), .check = config_check_text,
	  .default_note = "the domain", .example = "Example Mail",
	  .what = "what mail programs call an account here" },

	{ "forwarding", "srs", "yes", YES_NO(config, forwarding.srs),
	  .what = "rewrite the return address of what is forwarded, so that SPF passes (SRS)" },
	{ "forwarding", "domain", NULL, TEXT(config, forwarding.domain), .check = config_check_hostname,
	  .default_note = "the alias's domain", .example = "example.com",
	  .what = "domain of ours for rewritten addresses" },

	{ "bounces", "domain", NULL, TEXT(config, bounces.domain), .check = config_check_hostname,
	  .default_note = "the sender's own", .example = "bounces.example.com",
	  .what = "domain of ours for signed return addresses" },
	{ "bounces", "valid", "14d", MS64(config, bounces.valid_ms, HOUR, 365 * DAY),
	  .what = "how long such an address takes mail" },

	{ "dns", "servers", NULL, TEXTS(config, dns.servers, dns.server_count), .check = config_check_dns_server,
	  .default_note = "those of /etc/resolv.conf", .example = "127.0.0.1",
	  .what = "addresses of resolvers: \"127.0.0.1\", \"127.0.0.1@5353\"" },
	{ "dns", "trust_anchor", NULL, TEXT(config, dns.trust_anchor_file), .check = config_check_path,
	  .default_note = "/usr/share/dns/root.key, if it exists and if it works", .example = "/usr/share/dns/root.key",
	  .what = "file with the DNSSEC root key" },
	{ "dns", "timeout", "20s", MS32(config, dns.timeout_ms, 100, 10 * MINUTE),
	  .what = "time for one question" },

	{ "dns", "block_lists", NULL, TEXTS(config, dns.block_lists, dns.block_list_count), .check = config_check_hostname,
	  .default_note = "none", .example = "zen.spamhaus.org",
	  .what = "block lists that `postrider doctor` asks about our addresses" },

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
	return key->type == CONFIG_U32_LIST || key->type == CONFIG_RATE_LIST || key->type == CONFIG_TEXT_LIST ||
		key->type == CONFIG_LISTEN_LIST || key->type == CONFIG_RANGE_LIST;
}
