#include "cli/doctor_private.h"

#include "cli/terminal.h"

#include <stdarg.h>
#include <string.h>

#define ARENA_BYTES (16u * 1024 * 1024)
#define SENTENCE_MAX_BYTES 1000u

const char *doctor_level_name(enum doctor_level level)
{
	static const char *const names[] = { "ok", "note", "warning", "failure" };
	return names[level];
}

const char *doctor_keep(struct doctor *doctor, struct view text)
{
	char *copy = arena_alloc(&doctor->arena, text.len + 1);
	if (copy == NULL)
		return "(too much to keep)";
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	return copy;
}

static void add(struct doctor *doctor, struct doctor_finding finding)
{
	if (doctor->finding_count == DOCTOR_FINDINGS_MAX)
		return;
	doctor->findings[doctor->finding_count++] = finding;
	if (doctor->found != NULL)
		doctor->found(doctor->owner, &finding);
}

/* Other servers' words are in some sentences: a terminal must not obey them. */
static const char *sentence(struct doctor *doctor, const char *format, va_list args) PRINTF_LIKE(2, 0);
static const char *sentence(struct doctor *doctor, const char *format, va_list args)
{
	char text[SENTENCE_MAX_BYTES];
	int n = vsnprintf(text, sizeof text, format, args);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
	terminal_clean(text, len);
	return doctor_keep(doctor, view_of(text, len));
}

void doctor_say(struct doctor *doctor, enum doctor_level level, const char *topic, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	const char *text = sentence(doctor, format, args);
	va_end(args);
	add(doctor, (struct doctor_finding){ .level = level, .topic = topic, .text = text });
}

static const char *topic_word(enum dns_topic topic)
{
	static const char *const words[DNS_TOPICS] = {
		[DNS_TOPIC_MX] = "mx",
		[DNS_TOPIC_ADDRESS] = "address",
		[DNS_TOPIC_SPF] = "spf",
		[DNS_TOPIC_DKIM] = "dkim",
		[DNS_TOPIC_DMARC] = "dmarc",
		[DNS_TOPIC_MTA_STS] = "mta-sts",
		[DNS_TOPIC_TLSRPT] = "tlsrpt",
		[DNS_TOPIC_TLSA] = "dane",
		[DNS_TOPIC_CLIENTS] = "clients",
	};
	return words[topic];
}

static const char *record_of_plan(struct doctor *doctor, enum dns_topic topic, const char *type, const char *name)
{
	const struct dns_plan *plan = doctor->plan;
	for (size_t i = 0; i < plan->count; i++) {
		const struct dns_entry *e = &plan->entries[i];
		if (e->topic != topic || strcmp(e->type, type) != 0 || (name != NULL && strcmp(e->name, name) != 0))
			continue;
		struct buf line = { 0 };
		const char *kept = NULL;
		if (dns_entry_format(e, &line) == ERR_OK)
			kept = doctor_keep(doctor, view_trim(buf_view(&line)));
		buf_clear(&line);
		return kept;
	}
	return NULL;
}

void doctor_say_publish(struct doctor *doctor, enum doctor_level level, enum dns_topic topic, const char *type,
	const char *name, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	const char *text = sentence(doctor, format, args);
	va_end(args);
	add(doctor,
		(struct doctor_finding){ .level = level,
			.topic = topic_word(topic),
			.text = text,
			.publish = record_of_plan(doctor, topic, type, name) });
}

enum doctor_level doctor_worst(const struct doctor *doctor)
{
	enum doctor_level worst = DOCTOR_OK;
	for (size_t i = 0; i < doctor->finding_count; i++)
		if (doctor->findings[i].level > worst)
			worst = doctor->findings[i].level;
	return worst;
}

enum err doctor_run(struct doctor *doctor)
{
	const struct config *config = doctor->config;
	struct resolver_options options = {
		.server_count = config->dns.server_count,
		.servers = config->dns.servers,
		.trust_anchor_file = config->dns.trust_anchor_file,
		.timeout_ms = config->dns.timeout_ms,
	};
	arena_init(&doctor->arena, ARENA_BYTES);
	doctor->loop = loop_new("doctor");
	if (doctor->loop == NULL)
		return ERR_IO;
	doctor->resolver = resolver_new(doctor->loop, &options);
	doctor->https = doctor->resolver != NULL ? https_new(doctor->loop) : NULL;
	doctor->tls = doctor->https != NULL ? tls_context_new_client(TLS_VERIFY_NONE, config->delivery.ca_file) : NULL;
	if (doctor->tls == NULL)
		return ERR_IO;
	doctor_check_mx(doctor);
	doctor_check_hosts(doctor);
	doctor_check_sources(doctor);
	doctor_check_spf(doctor);
	doctor_check_dkim(doctor);
	doctor_check_dmarc(doctor);
	doctor_check_mta_sts(doctor);
	doctor_check_tls_rpt(doctor);
	doctor_check_clients(doctor);
	doctor_check_block_lists(doctor);
	return ERR_OK;
}

void doctor_clear(struct doctor *doctor)
{
	https_free(doctor->https);
	resolver_free(doctor->resolver);
	tls_context_unref(doctor->tls);
	if (doctor->loop != NULL)
		loop_free(doctor->loop);
	arena_clear(&doctor->arena);
}
