/* Scripted dialogues up to READY, and the end of sessions. */
#include "smtp/sender_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define GREETING "S: 220 mx.example.net ESMTP\nC: EHLO client.example.com\n"
#define PLAIN_EHLO GREETING "S: 250 mx.example.net\n"
#define READY PLAIN_EHLO "E: ready\n"

static const struct smtp_sender_recipient ben = { .address = { (const uint8_t *)"ben@example.net", 15 } };
static const struct sender_script_transaction transactions[] = {
	{ "one",
		{ .reverse_path = { (const uint8_t *)"ann@example.com", 15 },
			.recipient_count = 1,
			.recipients = &ben,
			.size_bytes = 4 } },
};

static const struct sender_script greeting_scripts[] = {
	{ "220 and EHLO", 0, READY },
	{ "a greeting of several lines", 0,
		"S: 220-mx.example.net\nS: 220-be polite\nS: 220 ESMTP\nC: EHLO client.example.com\n"
		"S: 250 mx.example.net\nE: ready\n" },
	{ "bare LF ends reply lines too", 0, "s: 220 hi\\n\nC: EHLO client.example.com\ns: 250 mx\\n\nE: ready\n" },
	{ "a code without text", 0, "S: 220\nC: EHLO client.example.com\nS: 250\nE: ready\n" },
	{ "554 sends us away", 0, "S: 554 5.7.1 no\nE: failed GREETING 554 5.7.1 no\n" },
	{ "421 sends us away", 0, "S: 421 4.3.2 later\nE: failed GREETING 421 4.3.2 later\n" },
	{ "a greeting that is a question", 0,
		"S: 354 go\nE: failed GREETING 451 4.5.0 the server's greeting makes no sense [here]\n" },
	{ "another protocol", 0,
		"S: SSH-2.0-OpenSSH_9\nE: failed GREETING 451 4.5.0 the server sent what is no SMTP reply [here]\n" },
	{ "lines with different codes", 0,
		"S: 220-a\nS: 250 b\nE: failed GREETING 451 4.5.0 the server sent what is no SMTP reply [here]\n" },
	{ "closed before the greeting", 0, "CLOSED\nE: failed GREETING 451 4.4.2 connection lost [here]\n" },
	{ "closed within the greeting", 0, "s: 220-mx\nCLOSED\nE: failed GREETING 451 4.4.2 connection lost [here]\n" },
	{ "no greeting in time", 0,
		"TICK 299999\nTICK 300000\n"
		"E: failed GREETING 451 4.4.2 timed out after 300 s waiting for the greeting [here]\n" },
	{ "half a greeting does not extend the time", 0,
		"TICK 299999\ns: 220-mx\\r\\n\nTICK 300000\n"
		"E: failed GREETING 451 4.4.2 timed out after 300 s waiting for the greeting [here]\n" },
	{ "after FAILED nothing", 0,
		"S: 554 no\nE: failed GREETING 554 no\nCLOSED\nTICK 999999999\nQUIT\nABORT\nTLS\n" },
};

static const struct sender_script hello_scripts[] = {
	{ "500: HELO", 0, GREETING "S: 500 what?\nC: HELO client.example.com\nS: 250 mx\nE: ready\n" },
	{ "502: HELO", 0, GREETING "S: 502 what?\nC: HELO client.example.com\nS: 250 mx\nE: ready\n" },
	{ "550: HELO", 0, GREETING "S: 550 what?\nC: HELO client.example.com\nS: 250 mx\nE: ready\n" },
	{ "HELO refused as well", 0,
		GREETING "S: 500 what?\nC: HELO client.example.com\nS: 550 5.7.1 no\nE: failed EHLO 550 5.7.1 no\n" },
	{ "HELO answered with a question", 0,
		GREETING "S: 500 what?\nC: HELO client.example.com\nS: 354 go\n"
			 "E: failed EHLO 451 4.5.0 the server's reply to HELO makes no sense [here]\n" },
	{ "EHLO refused for now", 0, GREETING "S: 451 4.3.0 busy\nE: failed EHLO 451 4.3.0 busy\n" },
	{ "421 to EHLO", 0, GREETING "S: 421 bye\nE: failed EHLO 421 bye\n" },
	{ "EHLO answered with a question", 0,
		GREETING "S: 334 go\nE: failed EHLO 451 4.5.0 the server's reply to EHLO makes no sense [here]\n" },
	{ "EHLO refused and TLS required", SCRIPT_TLS_REQUIRED,
		GREETING "S: 502 what?\n"
			 "E: failed STARTTLS 451 4.7.4 TLS is required, but the server refuses EHLO [here]\n" },
	{ "EHLO refused inside TLS that is required", SCRIPT_TLS_REQUIRED | SCRIPT_TLS_ACTIVE,
		GREETING "S: 502 what?\nC: HELO client.example.com\nS: 250 mx\nE: ready\n" },
	{ "EHLO refused and a login wanted", SCRIPT_LOGIN | SCRIPT_TLS_ACTIVE,
		GREETING "S: 502 what?\nC: HELO client.example.com\nS: 250 mx\n"
			 "E: failed AUTH 451 4.7.4 the server offers no login (AUTH) [here]\n" },
	{ "no reply to EHLO in time", 0,
		GREETING "TICK 1000\nTICK 300999\nTICK 301000\n"
			 "E: failed EHLO 451 4.4.2 timed out after 300 s waiting for the reply to EHLO [here]\n" },
	{ "closed instead of a reply", 0, GREETING "CLOSED\nE: failed EHLO 451 4.4.2 connection lost [here]\n" },
};

static const struct sender_script tls_scripts[] = {
	{ "offered and used; all is asked again", 0,
		GREETING
		"S: 250-mx\nS: 250-PIPELINING\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go ahead\nE: starttls\nTLS\n"
		"C: EHLO client.example.com\nS: 250 mx\nE: ready\n" },
	{ "offered again inside TLS: once is enough", 0,
		GREETING "S: 250-mx\nS: 250 starttls\nC: STARTTLS\nS: 220 go ahead\nE: starttls\nTLS\n"
			 "C: EHLO client.example.com\nS: 250-mx\nS: 250 STARTTLS\nE: ready\n" },
	{ "not offered", 0, READY },
	{ "offered, not wanted", SCRIPT_TLS_NEVER, GREETING "S: 250-mx\nS: 250 STARTTLS\nE: ready\n" },
	{ "offered, already active", SCRIPT_TLS_ACTIVE, GREETING "S: 250-mx\nS: 250 STARTTLS\nE: ready\n" },
	{ "required, not offered", SCRIPT_TLS_REQUIRED,
		PLAIN_EHLO "E: failed STARTTLS 451 4.7.4 TLS is required, but the server does not offer it [here]\n" },
	{ "refused, not required", 0,
		GREETING "S: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 not now\nE: ready\n" },
	{ "refused, required", SCRIPT_TLS_REQUIRED,
		GREETING "S: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 not now\n"
			 "E: failed STARTTLS 454 4.7.0 not now\n" },
	{ "421 to STARTTLS", 0,
		GREETING "S: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 421 bye\nE: failed STARTTLS 421 bye\n" },
	{ "a question to STARTTLS", 0,
		GREETING "S: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 354 go\n"
			 "E: failed STARTTLS 451 4.5.0 the server's reply to STARTTLS makes no sense [here]\n" },
	{ "a reply injected behind the 220", 0,
		GREETING "S: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go ahead\nS: 250 mx\nE: starttls\n"
			 "E: failed STARTTLS 451 4.7.0 the server sent more behind its 220 to STARTTLS [here]\nTLS\n" },
	{ "one byte injected behind the 220", 0,
		GREETING "S: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\ns: 220 go ahead\\r\\n2\nE: starttls\n"
			 "E: failed STARTTLS 451 4.7.0 the server sent more behind its 220 to STARTTLS [here]\n" },
	{ "the handshake fails", 0,
		GREETING "S: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go ahead\nE: starttls\nCLOSED\n"
			 "E: failed STARTTLS 451 4.7.5 connection lost [here]\n" },
	{ "the handshake takes too long", 0,
		GREETING "S: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go ahead\nE: starttls\nTICK 5\nTICK 300005\n"
			 "E: failed STARTTLS 451 4.4.2 timed out after 300 s waiting for TLS to start [here]\n" },
};

#define SCRAM_BEGIN                                                                                                    \
	"C: AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=\n"                                         \
	"S: 334 "                                                                                                      \
	"cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5sRiRrMCxzPVcyMlphSjBTTlk3c29Fc1VFamI2Z1E9PSxp" \
	"PTQwOTY=\n"                                                                                                   \
	"C: "                                                                                                          \
	"Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkazAscD1kSHpiWmFwV0lrNGpVaE4rVXRl" \
	"OXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ==\n"
#define AUTH_EHLO(mechanisms) GREETING "S: 250-mx\nS: 250 AUTH " mechanisms "\n"

static const struct sender_script login_scripts[] = {
	{ "PLAIN", SCRIPT_LOGIN | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("LOGIN PLAIN") "C: AUTH PLAIN AGFubgBzZWNyZXQ=\nS: 235 2.7.0 in\nE: ready\n" },
	{ "PLAIN after STARTTLS", SCRIPT_LOGIN,
		GREETING "S: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nE: starttls\nTLS\n"
			 "C: EHLO client.example.com\nS: 250-mx\nS: 250 AUTH PLAIN\n"
			 "C: AUTH PLAIN AGFubgBzZWNyZXQ=\nS: 235 2.7.0 in\nE: ready\n" },
	{ "PLAIN too long for a command line waits for 334", SCRIPT_LOGIN | SCRIPT_TLS_ACTIVE | SCRIPT_LONG_PASSWORD,
		AUTH_EHLO("PLAIN") "C: AUTH PLAIN\nS: 454 4.7.0 later\nE: failed AUTH 454 4.7.0 later\n" },
	{ "LOGIN", SCRIPT_LOGIN | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("LOGIN") "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YW5u\nS: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\n"
				   "S: 235 in\nE: ready\n" },
	{ "the old AUTH= form", SCRIPT_LOGIN | SCRIPT_TLS_ACTIVE,
		GREETING "S: 250-mx\nS: 250-AUTH CRAM-MD5\nS: 250 AUTH=LOGIN PLAIN\n"
			 "C: AUTH PLAIN AGFubgBzZWNyZXQ=\nS: 235 in\nE: ready\n" },
	{ "refused", SCRIPT_LOGIN | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("PLAIN") "C: AUTH PLAIN AGFubgBzZWNyZXQ=\nS: 535 5.7.8 wrong\nE: failed AUTH 535 5.7.8 "
				   "wrong\n" },
	{ "LOGIN refused at the user name", SCRIPT_LOGIN | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("LOGIN") "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YW5u\nS: 535 5.7.8 who?\n"
				   "E: failed AUTH 535 5.7.8 who?\n" },
	{ "the server asks without end", SCRIPT_LOGIN | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("PLAIN") "C: AUTH PLAIN AGFubgBzZWNyZXQ=\nS: 334 more\n"
				   "E: failed AUTH 451 4.7.0 the server asks for more than the login mechanism has "
				   "[here]\n" },
	{ "a question that is none of AUTH", SCRIPT_LOGIN | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("PLAIN") "C: AUTH PLAIN AGFubgBzZWNyZXQ=\nS: 354 go\n"
				   "E: failed AUTH 451 4.5.0 the server's reply to AUTH makes no sense [here]\n" },
	{ "not offered", SCRIPT_LOGIN | SCRIPT_TLS_ACTIVE,
		PLAIN_EHLO "E: failed AUTH 451 4.7.4 the server offers no login (AUTH) [here]\n" },
	{ "no mechanism in common", SCRIPT_LOGIN | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("CRAM-MD5 XOAUTH2") "E: failed AUTH 451 4.7.4 the server offers no login by PLAIN or LOGIN "
					      "[here]\n" },
	{ "SCRAM-SHA-256 before PLAIN", SCRIPT_LOGIN | SCRIPT_SCRAM | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("PLAIN LOGIN SCRAM-SHA-256") SCRAM_BEGIN
		"S: 334 dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ==\nC: \nS: 235 2.7.0 in\nE: "
		"ready\n" },
	{ "SCRAM-SHA-256, and the server can't prove anything", SCRIPT_LOGIN | SCRIPT_SCRAM | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("SCRAM-SHA-256") SCRAM_BEGIN
		"S: 334 dj03cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ==\n"
		"E: failed AUTH 451 4.7.0 the server could not prove that it knows the password itself [here]\n" },
	{ "SCRAM-SHA-256, and the server does not even try", SCRIPT_LOGIN | SCRIPT_SCRAM | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("SCRAM-SHA-256") SCRAM_BEGIN "S: 235 2.7.0 in\n"
						       "E: failed AUTH 451 4.7.0 the server took the login without "
						       "proof that it knows the password itself [here]\n" },
	{ "SCRAM-SHA-256 with a wrong password", SCRIPT_LOGIN | SCRIPT_SCRAM | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("SCRAM-SHA-256") SCRAM_BEGIN "S: 334 ZT1pbnZhbGlkLXByb29m\nC: \nS: 535 5.7.8 no\n"
						       "E: failed AUTH 535 5.7.8 no (e=invalid-proof)\n" },
	{ "SCRAM-SHA-256, refused at once", SCRIPT_LOGIN | SCRIPT_SCRAM | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("SCRAM-SHA-256") SCRAM_BEGIN "S: 535 5.7.8 no\nE: failed AUTH 535 5.7.8 no\n" },
	{ "SCRAM-SHA-256 with a challenge that is none", SCRIPT_LOGIN | SCRIPT_SCRAM | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("SCRAM-SHA-256") "C: AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=\nS: 334 "
					   "?\n"
					   "E: failed AUTH 451 4.7.0 the server's challenge is not base64 [here]\n" },
	{ "a token by XOAUTH2", SCRIPT_LOGIN | SCRIPT_TOKEN | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("PLAIN XOAUTH2") "C: AUTH XOAUTH2 dXNlcj1hbm4BYXV0aD1CZWFyZXIgdG9rZW4BAQ==\nS: 235 2.7.0 "
					   "in\nE: ready\n" },
	{ "a token by XOAUTH2 that has expired", SCRIPT_LOGIN | SCRIPT_TOKEN | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("XOAUTH2") "C: AUTH XOAUTH2 dXNlcj1hbm4BYXV0aD1CZWFyZXIgdG9rZW4BAQ==\nS: 334 "
				     "eyJzdGF0dXMiOiI0MDEifQ==\nC: \nS: 535 5.7.8 no\n"
				     "E: failed AUTH 535 5.7.8 no ({\"status\":\"401\"})\n" },
	{ "a token too long for a command line waits for 334",
		SCRIPT_LOGIN | SCRIPT_TOKEN | SCRIPT_TLS_ACTIVE | SCRIPT_LONG_PASSWORD,
		AUTH_EHLO("XOAUTH2") "C: AUTH XOAUTH2\nS: 334 \nC: "
				     "dXNlcj1hbm4BYXV0aD1CZWFyZXIgeHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4e"
				     "Hh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eH"
				     "h4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh"
				     "4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4"
				     "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4e"
				     "Hh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eH"
				     "h4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eAEB\nS"
				     ": 235 in\nE: ready\n" },
	{ "a token by OAUTHBEARER", SCRIPT_LOGIN | SCRIPT_TOKEN | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("XOAUTH2 OAUTHBEARER") "C: AUTH OAUTHBEARER "
						 "bixhPWFubiwBaG9zdD1teC5leGFtcGxlLm5ldAFwb3J0PTU4NwFhdXRoPUJlYXJlciB0b"
						 "2tlbgEB\nS: 334 eyJzdGF0dXMiOiI0MDEifQ==\nC: AQ==\nS: 535 5.7.8 no\n"
						 "E: failed AUTH 535 5.7.8 no ({\"status\":\"401\"})\n" },
	{ "a token is no password", SCRIPT_LOGIN | SCRIPT_TOKEN | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("PLAIN LOGIN") "E: failed AUTH 451 4.7.4 the server offers no login by XOAUTH2 or "
					 "OAUTHBEARER [here]\n" },
	{ "a token never in clear", SCRIPT_LOGIN | SCRIPT_TOKEN,
		AUTH_EHLO("XOAUTH2") "E: failed AUTH 451 4.7.11 the login needs TLS, which is not active [here]\n" },
	{ "never in clear", SCRIPT_LOGIN,
		AUTH_EHLO("PLAIN") "E: failed AUTH 451 4.7.11 the login needs TLS, which is not active [here]\n" },
	{ "never in clear after a refused STARTTLS", SCRIPT_LOGIN,
		GREETING "S: 250-mx\nS: 250-STARTTLS\nS: 250 AUTH PLAIN\nC: STARTTLS\nS: 454 no\n"
			 "E: failed AUTH 451 4.7.11 the login needs TLS, which is not active [here]\n" },
	{ "in clear where that is allowed", SCRIPT_LOGIN | SCRIPT_LOGIN_IN_CLEAR,
		AUTH_EHLO("PLAIN") "C: AUTH PLAIN AGFubgBzZWNyZXQ=\nS: 235 in\nE: ready\n" },
	{ "offered, not wanted", SCRIPT_TLS_ACTIVE, AUTH_EHLO("PLAIN") "E: ready\n" },
	{ "closed within the login", SCRIPT_LOGIN | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("LOGIN") "C: AUTH LOGIN\nCLOSED\nE: failed AUTH 451 4.4.2 connection lost [here]\n" },
	{ "no reply to the login", SCRIPT_LOGIN | SCRIPT_TLS_ACTIVE,
		AUTH_EHLO("LOGIN") "C: AUTH LOGIN\nTICK 7\nTICK 300007\n"
				   "E: failed AUTH 451 4.4.2 timed out after 300 s waiting for the reply to AUTH "
				   "[here]\n" },
};

static const struct sender_script end_scripts[] = {
	{ "QUIT", 0, READY "QUIT\nC: QUIT\nS: 221 2.0.0 bye\nE: failed QUIT 221 2.0.0 bye\n" },
	{ "QUIT answered by hanging up", 0, READY "QUIT\nC: QUIT\nCLOSED\nE: failed QUIT none [here]\n" },
	{ "QUIT not answered", 0,
		READY "QUIT\nC: QUIT\nTICK 1\nTICK 300001\n"
		      "E: failed QUIT 451 4.4.2 timed out after 300 s waiting for the reply to QUIT [here]\n" },
	{ "closed while nothing is under way", 0, READY "CLOSED\n" },
	{ "no time-out while nothing is under way", 0, READY "TICK 1\nTICK 999999999\n" },
	{ "421 while nothing is under way", 0, READY "S: 421 4.4.2 idle\nE: failed QUIT 421 4.4.2 idle\n" },
	{ "a reply nobody asked for", 0,
		READY "S: 250 ok\nE: failed QUIT 451 4.5.0 the server sent a reply that nobody asked for [here]\n" },
	{ "half a reply nobody asked for, then a transaction", 0,
		READY "s: 250 o\nBEGIN one\n"
		      "E: failed MAIL 451 4.5.0 the server sent something that nobody asked for [here]\n" },
	{ "ABORT and TLS while nothing is under way", 0,
		READY "ABORT\nTLS\nQUIT\nC: QUIT\nS: 221 bye\nE: failed QUIT 221 bye\n" },
	{ "QUIT before READY does nothing", 0, GREETING "QUIT\nS: 250 mx\nE: ready\n" },
};

#define RUN_ALL(scripts)                                                                                               \
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts)[0]; i++)                                              \
	sender_script_run(&(scripts)[i], sizeof transactions / sizeof transactions[0], transactions)

static void test_greeting(void **state)
{
	(void)state;
	RUN_ALL(greeting_scripts);
}

static void test_hello(void **state)
{
	(void)state;
	RUN_ALL(hello_scripts);
}

static void test_tls(void **state)
{
	(void)state;
	RUN_ALL(tls_scripts);
}

static void test_login(void **state)
{
	(void)state;
	RUN_ALL(login_scripts);
}

static void test_end(void **state)
{
	(void)state;
	RUN_ALL(end_scripts);
}

/* Feeds a whole reply and pulls the events; the last one's kind, or -1. */
static int feed_all(struct smtp_sender *sender, struct view in)
{
	int last = -1;
	while (in.len > 0) {
		size_t used = 0;
		if (smtp_sender_feed(sender, in, &used) != ERR_OK)
			break;
		struct smtp_sender_event event;
		while (smtp_sender_next(sender, &event))
			last = (int)event.kind;
		smtp_sender_sent(sender, smtp_sender_output(sender).len);
		in = view_from(in, used);
	}
	return last;
}

static struct smtp_sender *new_sender(void)
{
	struct smtp_sender_options options;
	smtp_sender_options_init(&options);
	options.ehlo_name = VIEW("client.example.com");
	return smtp_sender_new(&options, 1000);
}

static void test_extensions(void **state)
{
	(void)state;
	static const struct {
		const char *lines;
		unsigned want, recipients, transactions;
	} cases[] = {
		{ "250 mx PIPELINING SIZE\r\n", 0, 0, 0 },
		{ "250-mx\r\n250 PIPELINING\r\n", SMTP_EXT_PIPELINING, 0, 0 },
		{ "250-mx\r\n250 pipeLining\r\n", SMTP_EXT_PIPELINING, 0, 0 },
		{ "250-mx\r\n250 PIPELINING2\r\n", 0, 0, 0 },
		{ "250-mx\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-DSN\r\n250 "
		  "ENHANCEDSTATUSCODES\r\n",
			SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 | SMTP_EXT_CHUNKING | SMTP_EXT_BINARYMIME | SMTP_EXT_DSN |
				SMTP_EXT_ENHANCED,
			0, 0 },
		{ "250-mx\r\n250-SIZE\r\n250 AUTH\r\n", SMTP_EXT_SIZE | SMTP_EXT_AUTH, 0, 0 },
		{ "250-mx\r\n250 LIMITS RCPTMAX=20 mailmax=5 RCPTDOMAINMAX=1 X\r\n", SMTP_EXT_LIMITS, 20, 5 },
		{ "250-mx\r\n250 LIMITS RCPTMAX=-1 MAILMAX=99999999999\r\n", SMTP_EXT_LIMITS, 0, 0 },
		{ "250-mx\r\n250-\r\n250  \r\n", 0, 0, 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct smtp_sender *sender = new_sender();
		assert_int_equal(feed_all(sender, VIEW("220 hi\r\n")), -1);
		assert_int_equal(smtp_sender_extensions(sender), 0);
		assert_int_equal(feed_all(sender, view_from_cstr(cases[i].lines)), SMTP_SENDER_READY);
		if (smtp_sender_extensions(sender) != cases[i].want ||
			smtp_sender_limit_recipients(sender) != cases[i].recipients ||
			smtp_sender_limit_transactions(sender) != cases[i].transactions)
			fail_msg("%s: got %x", cases[i].lines, smtp_sender_extensions(sender));
		smtp_sender_free(sender);
	}
}

/* What was offered in clear must be forgotten inside TLS (RFC 3207 §4.2). */
static void test_tls_forgets(void **state)
{
	(void)state;
	struct smtp_sender *sender = new_sender();
	feed_all(sender, VIEW("220 hi\r\n"));
	feed_all(sender, VIEW("250-mx\r\n250-CHUNKING\r\n250-LIMITS RCPTMAX=3\r\n250 STARTTLS\r\n"));
	assert_int_equal(feed_all(sender, VIEW("220 go\r\n")), SMTP_SENDER_STARTTLS);
	smtp_sender_tls_started(sender, 5000);
	assert_int_equal(smtp_sender_deadline(sender), 305000);
	smtp_sender_sent(sender, smtp_sender_output(sender).len);
	assert_int_equal(feed_all(sender, VIEW("250-mx\r\n250 DSN\r\n")), SMTP_SENDER_READY);
	assert_int_equal(smtp_sender_extensions(sender), SMTP_EXT_DSN);
	assert_int_equal(smtp_sender_limit_recipients(sender), 0);
	smtp_sender_free(sender);
}

/* A reply may be long and have many lines, but not without end. */
static void test_reply_limits(void **state)
{
	(void)state;
	for (int endless_line = 0; endless_line < 2; endless_line++) {
		struct smtp_sender *sender = new_sender();
		struct view piece = endless_line ? VIEW("220 ever and ever ") : VIEW("220-ever and ever\r\n");
		size_t fed = 0;
		int last = -1;
		while (last == -1 && fed < 100000) {
			last = feed_all(sender, piece);
			if (endless_line)
				piece = VIEW("and ever ");
			fed += piece.len;
		}
		assert_int_equal(last, SMTP_SENDER_FAILED);
		assert_true(fed > 1000 && fed < 20000);
		size_t used = 0;
		assert_int_equal(smtp_sender_feed(sender, piece, &used), ERR_STATE);
		smtp_sender_free(sender);
	}
}

static void test_calls_out_of_place(void **state)
{
	(void)state;
	struct smtp_sender *sender = new_sender();
	assert_int_equal(smtp_sender_deadline(sender), 301000);
	assert_int_equal(smtp_sender_begin(sender, &transactions[0].transaction), ERR_STATE);
	assert_int_equal(smtp_sender_body(sender, VIEW("x"), true), ERR_STATE);
	feed_all(sender, VIEW("220 hi\r\n"));
	size_t used = 0;
	assert_int_equal(smtp_sender_feed(sender, VIEW("250 mx\r\n"), &used), ERR_OK);
	/* READY waits to be pulled. */
	assert_int_equal(smtp_sender_begin(sender, &transactions[0].transaction), ERR_STATE);
	assert_int_equal(smtp_sender_deadline(sender), INT64_MAX);
	struct smtp_sender_event event;
	assert_true(smtp_sender_next(sender, &event));
	assert_int_equal(smtp_sender_begin(sender, &transactions[0].transaction), ERR_OK);
	assert_int_equal(smtp_sender_begin(sender, &transactions[0].transaction), ERR_STATE);
	smtp_sender_closed(sender, "gone");
	assert_int_equal(smtp_sender_begin(sender, &transactions[0].transaction), ERR_CLOSED);
	/* An owner whose write just failed may still report it. */
	smtp_sender_sent(sender, 10);
	smtp_sender_free(sender);
	smtp_sender_free(NULL);
}

/* READY was not pulled when the connection ended: the owner still waits, and must hear of it. */
static void test_closed_before_ready_is_told(void **state)
{
	(void)state;
	struct smtp_sender *sender = new_sender();
	feed_all(sender, VIEW("220 hi\r\n"));
	size_t used = 0;
	assert_int_equal(smtp_sender_feed(sender, VIEW("250 mx\r\n"), &used), ERR_OK);
	smtp_sender_closed(sender, "gone");
	struct smtp_sender_event event;
	assert_true(smtp_sender_next(sender, &event));
	assert_int_equal(event.kind, SMTP_SENDER_FAILED);
	assert_false(smtp_sender_next(sender, &event));
	smtp_sender_free(sender);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_tls_forgets),
		cmocka_unit_test(test_reply_limits),
		cmocka_unit_test(test_calls_out_of_place),
		cmocka_unit_test(test_closed_before_ready_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
