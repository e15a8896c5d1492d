/* A host's SMTP port as others meet it: connection, greeting, EHLO, STARTTLS, certificate. */
#include "cli/doctor_private.h"

#include "net/stream.h"
#include "smtp/sender.h"

#include <stdio.h>
#include <string.h>

#define CONNECT_MS 15000u
#define TALK_MS 30000u

struct probe {
	struct doctor *doctor;
	const char *host;
	size_t tlsa_count;
	const struct tls_tlsa *tlsa;
	struct doctor_host *ret;
	struct stream *stream;
	struct smtp_sender *engine;
	struct loop_timer timer;
	bool over;
};

static void end(struct probe *p, const char *problem)
{
	if (p->over)
		return;
	p->over = true;
	snprintf(p->ret->problem, sizeof p->ret->problem, "%s", problem);
	loop_stop(p->doctor->loop);
}

static void go_on(struct probe *p);

static void start_tls(struct probe *p)
{
	struct stream_tls_options options = {
		.server_name = p->host,
		.tlsa_count = p->tlsa_count,
		.tlsa = p->tlsa,
		.timeout_ms = TALK_MS,
	};
	p->ret->offers_starttls = true;
	stream_start_tls_with(p->stream, p->doctor->tls, &options);
}

static void write_output(struct probe *p)
{
	struct view out = smtp_sender_output(p->engine);
	if (out.len == 0)
		return;
	stream_write(p->stream, out);
	smtp_sender_sent(p->engine, out.len);
}

static void pull(struct probe *p)
{
	struct smtp_sender_event event;
	while (!p->over && smtp_sender_next(p->engine, &event)) {
		if (event.kind == SMTP_SENDER_STARTTLS) {
			write_output(p);
			start_tls(p);
		} else if (event.kind == SMTP_SENDER_READY) {
			p->ret->greeted = true;
			smtp_sender_quit(p->engine);
			write_output(p);
			end(p, "");
		} else if (event.kind == SMTP_SENDER_FAILED) {
			struct buf text = { 0 };
			enum err err = smtp_reply_describe(&event.reply, &text);
			end(p, err == ERR_OK ? buf_cstr(&text) : "its answer is too long");
			buf_clear(&text);
		}
	}
}

static void go_on(struct probe *p)
{
	smtp_sender_tick(p->engine, loop_now_ms(p->doctor->loop));
	pull(p);
	if (!p->over)
		write_output(p);
}

static void on_connected(void *owner, enum err err)
{
	struct probe *p = owner;
	if (err != ERR_OK) {
		end(p, err_detail());
		return;
	}
	p->ret->connected = true;
	go_on(p);
}

static size_t on_input(void *owner, struct view in)
{
	struct probe *p = owner;
	size_t used = 0;
	if (p->ret->banner[0] == '\0')
		snprintf(p->ret->banner, sizeof p->ret->banner, "%.*s", VIEW_ARG(view_sub(in, 0, view_find(in, '\r'))));
	while (used < in.len && !p->over) {
		size_t n = 0;
		enum err err = smtp_sender_feed(p->engine, view_from(in, used), &n);
		used += n;
		pull(p);
		if (err != ERR_OK || n == 0)
			break;
	}
	go_on(p);
	return used;
}

static void on_tls_done(void *owner, enum err err)
{
	struct probe *p = owner;
	if (err != ERR_OK) {
		end(p, err_detail());
		return;
	}
	p->ret->has_tls = true;
	p->ret->facts = stream_tls_facts(p->stream);
	snprintf(p->ret->version, sizeof p->ret->version, "%s", stream_tls_version(p->stream));
	smtp_sender_tls_started(p->engine, loop_now_ms(p->doctor->loop));
	go_on(p);
}

static void on_closed(void *owner, enum err err)
{
	end(owner, err == ERR_CLOSED ? "it closed the connection" : err_detail());
}

static void on_deadline(void *owner)
{
	end(owner, "it did not answer in time");
}

static const struct stream_handler handler = {
	.connected = on_connected,
	.input = on_input,
	.tls_done = on_tls_done,
	.closed = on_closed,
};

void doctor_probe(struct doctor *doctor, const char *host, const struct net_address *address, size_t tlsa_count,
	const struct tls_tlsa *tlsa, struct doctor_host *ret)
{
	*ret = (struct doctor_host){ .connected = false };
	struct probe p = { .doctor = doctor, .host = host, .tlsa_count = tlsa_count, .tlsa = tlsa, .ret = ret };
	struct smtp_sender_options options;
	smtp_sender_options_init(&options);
	options.ehlo_name = view_from_cstr(doctor->config->delivery.ehlo_name);
	options.tls = SMTP_TLS_IF_OFFERED;
	p.engine = smtp_sender_new(&options, loop_now_ms(doctor->loop));
	loop_timer_init(&p.timer, doctor->loop, on_deadline, &p);
	loop_timer_set(&p.timer, loop_now_ms(doctor->loop) + CONNECT_MS + TALK_MS);
	p.stream = stream_connect(doctor->loop, address, NULL, CONNECT_MS, &handler, &p);
	loop_run(doctor->loop);
	loop_timer_clear(&p.timer);
	stream_free(p.stream);
	smtp_sender_free(p.engine);
}
