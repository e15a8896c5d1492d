/* Scripted dialogues from READY on: what goes out together, and which reply decides about whom. */
#include "smtp/sender_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define V(literal)                                                                                                     \
	{                                                                                                              \
		(const uint8_t *)(literal), sizeof(literal) - 1                                                        \
	}
#define ANN .reverse_path = V("ann@example.com")

static const struct smtp_sender_recipient ben[] = { { .address = V("ben@example.net") } };
static const struct smtp_sender_recipient three[] = { { .address = V("ben@example.net") },
	{ .address = V("cy@example.net") }, { .address = V("di@example.net") } };
static const struct smtp_sender_recipient reported[] = {
	{ .address = V("ben@example.net"), .notify = SMTP_NOTIFY_NEVER, .orcpt = V("rfc822;b+n=x@example.org") },
	{ .address = V("cy@example.net"),
		.notify = SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY,
		.orcpt = V("no semicolon") },
	{ .address = V("di@example.net"), .notify = SMTP_NOTIFY_FAILURE, .orcpt = V("utf-8;d\xc3\xaf@example.org") },
};
static const struct smtp_sender_recipient odd[] = {
	{ .address = V("ben@example.net> NOTIFY=NEVER") },
	{ .address = V("cy@example.net\r\nRCPT TO:<x@example.net") },
	{ .address = V("\"a >b\\\"\"@example.net") },
	{ .address = V("d\xc3\xaf@example.net") },
	{ .address = V("\"open@example.net") },
	{ .address = V("") },
};
static const struct smtp_sender_recipient international[] = { { .address = V("d\xc3\xaf@example.net") } };

static const struct smtp_sender_recipient told[] = {
	{ .address = V("ben@example.net") },
	{ .address = V("cee@example.net"), .notify = SMTP_NOTIFY_SUCCESS },
	{ .address = V("dee@example.net"), .notify = SMTP_NOTIFY_NEVER },
};

/* The message is "hi\r\n" where nothing else is said. */
static const struct sender_script_transaction transactions[] = {
	{ "one", { ANN, .recipient_count = 1, .recipients = ben, .size_bytes = 4 } },
	{ "three", { ANN, .recipient_count = 3, .recipients = three, .size_bytes = 4 } },
	{ "bounce", { .recipient_count = 1, .recipients = ben, .size_bytes = 4 } },
	{ "nobody", { ANN, .size_bytes = 4 } },
	{ "8bit", { ANN, .recipient_count = 1, .recipients = ben, .size_bytes = 4, .body = SMTP_BODY_8BITMIME } },
	{ "binary", { ANN, .recipient_count = 1, .recipients = ben, .size_bytes = 4, .body = SMTP_BODY_BINARYMIME } },
	{ "utf8", { ANN, .recipient_count = 1, .recipients = international, .size_bytes = 4, .smtputf8 = true } },
	{ "big", { ANN, .recipient_count = 3, .recipients = three, .size_bytes = 1001 } },
	{ "empty", { ANN, .recipient_count = 1, .recipients = ben } },
	{ "odd", { ANN, .recipient_count = 6, .recipients = odd, .size_bytes = 4 } },
	{ "odd sender",
		{ .reverse_path = V("ann@example.com> SIZE=1"),
			.recipient_count = 1,
			.recipients = ben,
			.size_bytes = 4 } },
	{ "reported",
		{ ANN, .recipient_count = 3, .recipients = reported, .size_bytes = 4, .ret = SMTP_RET_HDRS,
			.envid = V("QQ=1 2") } },
	{ "private", { ANN, .recipient_count = 1, .recipients = ben, .size_bytes = 4, .requiretls = true } },
	{ "urgent", { ANN, .recipient_count = 1, .recipients = ben, .size_bytes = 4, .priority = 9 } },
	{ "slow", { ANN, .recipient_count = 1, .recipients = ben, .size_bytes = 4, .priority = -3 } },
	{ "in time",
		{ ANN, .recipient_count = 1, .recipients = ben, .size_bytes = 4, .has_by = true, .by_return = true,
			.by_trace = true, .by_s = 120 } },
	{ "too late",
		{ ANN, .recipient_count = 3, .recipients = three, .size_bytes = 4, .has_by = true,
			.by_return = true } },
	{ "overdue",
		{ ANN, .recipient_count = 1, .recipients = ben, .size_bytes = 4, .has_by = true,
			.by_s = -5000000000 } },
	{ "by noon", { ANN, .recipient_count = 3, .recipients = told, .size_bytes = 4, .has_by = true, .by_s = 60 } },
	{ "in an hour", { ANN, .recipient_count = 1, .recipients = ben, .size_bytes = 4, .hold_for_s = 3600 } },
	{ "on Monday",
		{ ANN, .recipient_count = 1, .recipients = ben, .size_bytes = 4, .hold_until_ms = 1795444740000 } },
	{ "whole", { ANN, .recipient_count = 1, .recipients = ben, .size_bytes = 4, .ret = SMTP_RET_FULL } },
};

#define READY(lines) "S: 220 hi\nC: EHLO client.example.com\nS: 250-mx\n" lines "S: 250 HELP\nE: ready\n"
#define PLAIN READY("")
#define PIPE READY("S: 250-PIPELINING\n")
#define BDAT READY("S: 250-PIPELINING\nS: 250-CHUNKING\n")
#define MAIL "C: MAIL FROM:<ann@example.com>\n"
#define NOT_HELD "E: rcpt 0 MAIL 450 4.3.3 the server does not offer to hold the message as long [here]\nE: done\n"
#define BEN "C: RCPT TO:<ben@example.net>\n"
#define THREE BEN "C: RCPT TO:<cy@example.net>\nC: RCPT TO:<di@example.net>\n"
#define OK "S: 250 ok\n"
#define LOST " 451 4.4.2 connection lost [here]\n"

static const struct sender_script lock_step_scripts[] = {
	{ "one recipient", 0,
		PLAIN "BEGIN one\n" MAIL OK BEN OK "C: DATA\nS: 354 go\nE: body\nLAST: hi\\r\\n\nC: hi\nC: .\n"
		      "S: 250 2.0.0 queued\nE: rcpt 0 FINAL 250 2.0.0 queued\nE: done\n" },
	{ "HELO only", 0,
		"S: 220 hi\nC: EHLO client.example.com\nS: 500 ?\nC: HELO client.example.com\nS: 250 mx\nE: ready\n"
		"BEGIN whole\n" MAIL OK BEN OK "C: DATA\nS: 354 go\nE: body\nLAST: hi\\r\\n\nC: hi\nC: .\n"
		"S: 250 ok\nE: rcpt 0 FINAL 250 ok\nE: done\n" },
	{ "the null reverse-path", 0, PLAIN "BEGIN bounce\nC: MAIL FROM:<>\n" OK BEN "CLOSED\nE: failed RCPT" LOST },
	{ "251 and 252 accept", 0,
		PLAIN "BEGIN three\n" MAIL OK BEN "S: 251 forwarded\nC: RCPT TO:<cy@example.net>\nS: 252 perhaps\n"
		      "C: RCPT TO:<di@example.net>\nS: 550 5.1.1 who?\nE: rcpt 2 RCPT 550 5.1.1 who?\nC: DATA\n"
		      "S: 354 go\nE: body\nLAST: hi\\r\\n\nC: hi\nC: .\n" OK
		      "E: rcpt 0 FINAL 250 ok\nE: rcpt 1 FINAL 250 ok\nE: done\n" },
	{ "MAIL refused", 0,
		PLAIN "BEGIN three\n" MAIL "S: 550 5.7.1 no\nE: rcpt 0 MAIL 550 5.7.1 no\nE: rcpt 1 MAIL 550 5.7.1 no\n"
		      "E: rcpt 2 MAIL 550 5.7.1 no\nE: done\nBEGIN one\n" MAIL OK BEN "CLOSED\nE: failed RCPT" LOST },
	{ "all recipients refused, then RSET before the next", 0,
		PLAIN "BEGIN one\n" MAIL OK BEN "S: 450 4.2.0 later\nE: rcpt 0 RCPT 450 4.2.0 later\nE: done\n"
		      "BEGIN one\nC: RSET\n" OK MAIL OK BEN "CLOSED\nE: failed RCPT" LOST },
	{ "DATA refused, then RSET before the next", 0,
		PLAIN "BEGIN one\n" MAIL OK BEN OK
		      "C: DATA\nS: 451 4.3.0 disk\nE: rcpt 0 DATA 451 4.3.0 disk\nE: done\n"
		      "BEGIN one\nC: RSET\n" OK MAIL "CLOSED\nE: failed MAIL" LOST },
	{ "RSET refused", 0,
		PLAIN "BEGIN one\n" MAIL OK BEN "S: 550 no\nE: rcpt 0 RCPT 550 no\nE: done\nBEGIN one\nC: RSET\n"
		      "S: 503 what?\nE: failed MAIL 503 what?\n" },
	{ "QUIT needs no RSET", 0,
		PLAIN "BEGIN one\n" MAIL OK BEN "S: 550 no\nE: rcpt 0 RCPT 550 no\nE: done\nQUIT\nC: QUIT\n"
		      "S: 221 bye\nE: failed QUIT 221 bye\n" },
	{ "the message refused; no RSET needed", 0,
		PLAIN "BEGIN one\n" MAIL OK BEN OK "C: DATA\nS: 354 go\nE: body\nLAST: hi\\r\\n\nC: hi\nC: .\n"
		      "S: 554 5.6.0 spam\nE: rcpt 0 FINAL 554 5.6.0 spam\nE: done\nBEGIN one\n" MAIL
		      "CLOSED\nE: failed MAIL" LOST },
	{ "three on one connection", 0,
		PLAIN "BEGIN one\n" MAIL OK BEN OK "C: DATA\nS: 354 go\nE: body\nLAST: hi\\r\\n\nC: hi\nC: .\n" OK
		      "E: rcpt 0 FINAL 250 ok\nE: done\n"
		      "BEGIN empty\n" MAIL OK BEN OK "C: DATA\nS: 354 go\nE: body\nLAST: \nC: .\n" OK
		      "E: rcpt 0 FINAL 250 ok\nE: done\n"
		      "BEGIN one\n" MAIL OK BEN OK "C: DATA\nS: 354 go\nE: body\nBODY: h\nc: h\nBODY: i\\r\nc: i\n"
		      "LAST: \\n\nc: \\r\\n.\\r\\n\n" OK "E: rcpt 0 FINAL 250 ok\nE: done\nCLOSED\n" },
};

static const struct sender_script pipelining_scripts[] = {
	{ "all in one", 0,
		PIPE "BEGIN three\n" MAIL THREE "C: DATA\n" OK OK OK OK
		     "S: 354 go\nE: body\nLAST: hi\\r\\n\nC: hi\nC: .\n" OK
		     "E: rcpt 0 FINAL 250 ok\nE: rcpt 1 FINAL 250 ok\nE: rcpt 2 FINAL 250 ok\nE: done\n" },
	{ "some refused, each for itself", 0,
		PIPE "BEGIN three\n" MAIL THREE "C: DATA\n" OK "S: 550 5.1.1 who?\nS: 250 ok\nS: 452 4.5.3 too many\n"
		     "S: 354 go\nE: rcpt 0 RCPT 550 5.1.1 who?\nE: rcpt 2 RCPT 452 4.5.3 too many\nE: body\n"
		     "LAST: hi\\r\\n\nC: hi\nC: .\n" OK "E: rcpt 1 FINAL 250 ok\nE: done\n" },
	{ "all refused, DATA too", 0,
		PIPE "BEGIN one\n" MAIL BEN "C: DATA\n" OK
		     "S: 550 no\nS: 503 5.5.1 nobody\nE: rcpt 0 RCPT 550 no\nE: done\n"
		     "BEGIN one\nC: RSET\n" MAIL BEN "C: DATA\nCLOSED\nE: failed MAIL" LOST },
	{ "all refused, but DATA invited: a lone dot", 0,
		PIPE "BEGIN one\n" MAIL BEN "C: DATA\n" OK "S: 550 no\nS: 354 go\nE: rcpt 0 RCPT 550 no\nC: .\n"
		     "S: 554 5.5.1 nobody\nE: done\nBEGIN one\n" MAIL BEN "C: DATA\nCLOSED\nE: failed MAIL" LOST },
	{ "all refused, a lone dot, and the server goes", 0,
		PIPE "BEGIN one\n" MAIL BEN "C: DATA\n" OK "S: 550 no\nS: 354 go\nE: rcpt 0 RCPT 550 no\nC: .\n"
		     "S: 421 bye\nE: failed DATA 421 bye\n" },
	{ "all refused, DATA taken for granted", 0,
		PIPE "BEGIN one\n" MAIL BEN "C: DATA\n" OK "S: 550 no\nS: 250 ok\nE: rcpt 0 RCPT 550 no\n"
		     "E: failed DATA 451 4.5.0 the server's reply to DATA makes no sense [here]\n" },
	{ "MAIL refused: all get it, the rest is counted", 0,
		PIPE "BEGIN three\n" MAIL THREE "C: DATA\nS: 452 4.3.1 full\nS: 503 mail first\nS: 503 mail first\n"
		     "S: 503 mail first\nE: rcpt 0 MAIL 452 4.3.1 full\nE: rcpt 1 MAIL 452 4.3.1 full\n"
		     "E: rcpt 2 MAIL 452 4.3.1 full\nS: 503 mail first\nE: done\nBEGIN one\n" MAIL BEN
		     "C: DATA\nCLOSED\nE: failed MAIL" LOST },
	{ "MAIL refused, all the rest accepted", 0,
		PIPE "BEGIN one\n" MAIL BEN "C: DATA\nS: 550 no\nS: 250 ok\nS: 354 go\nE: rcpt 0 MAIL 550 no\nC: .\n" OK
		     "E: done\n" },
	{ "DATA refused", 0,
		PIPE "BEGIN three\n" MAIL THREE "C: DATA\n" OK OK "S: 550 no\n" OK
		     "S: 451 4.3.0 disk\nE: rcpt 1 RCPT 550 no\nE: rcpt 0 DATA 451 4.3.0 disk\n"
		     "E: rcpt 2 DATA 451 4.3.0 disk\nE: done\nBEGIN one\nC: RSET\n" MAIL BEN "C: DATA\n" OK OK OK
		     "S: 354 go\nE: body\nLAST: hi\\r\\n\nC: hi\nC: .\n" OK "E: rcpt 0 FINAL 250 ok\nE: done\n" },
	{ "RSET pipelined and refused", 0,
		PIPE "BEGIN one\n" MAIL BEN "C: DATA\n" OK OK "S: 451 disk\nE: rcpt 0 DATA 451 disk\nE: done\n"
		     "BEGIN one\nC: RSET\n" MAIL BEN "C: DATA\nS: 421 bye\nE: failed MAIL 421 bye\n" },
};

static const struct sender_script parameter_scripts[] = {
	{ "SIZE", 0,
		READY("S: 250-SIZE 1000\n") "BEGIN one\nC: MAIL FROM:<ann@example.com> SIZE=4\nCLOSED\nE: failed "
					    "MAIL" LOST },
	{ "SIZE without a limit", 0,
		READY("S: 250-SIZE 0\n") "BEGIN big\nC: MAIL FROM:<ann@example.com> SIZE=1001\nCLOSED\nE: failed "
					 "MAIL" LOST },
	{ "too large is refused here, and the connection stays", 0,
		READY("S: 250-SIZE 1000\n") "BEGIN big\n"
					    "E: rcpt 0 MAIL 552 5.3.4 the message has 1001 bytes, the server takes "
					    "1000 [here]\n"
					    "E: rcpt 1 MAIL 552 5.3.4 the message has 1001 bytes, the server takes "
					    "1000 [here]\n"
					    "E: rcpt 2 MAIL 552 5.3.4 the message has 1001 bytes, the server takes "
					    "1000 [here]\nE: done\n"
					    "BEGIN one\nC: MAIL FROM:<ann@example.com> SIZE=4\nCLOSED\nE: failed "
					    "MAIL" LOST },
	{ "8BITMIME", 0,
		READY("S: 250-8BITMIME\n") "BEGIN 8bit\nC: MAIL FROM:<ann@example.com> BODY=8BITMIME\nCLOSED\nE: "
					   "failed MAIL" LOST },
	{ "8-bit content, not offered", 0,
		PLAIN "BEGIN 8bit\n"
		      "E: rcpt 0 MAIL 554 5.6.3 the message has 8-bit content, which the server does not take "
		      "[here]\nE: done\n" },
	{ "7-bit content says nothing", 0,
		READY("S: 250-8BITMIME\n") "BEGIN one\n" MAIL "CLOSED\nE: failed MAIL" LOST },
	{ "BINARYMIME", 0,
		READY("S: 250-CHUNKING\nS: 250-BINARYMIME\n") "BEGIN binary\nC: MAIL FROM:<ann@example.com> "
							      "BODY=BINARYMIME\n" OK BEN OK
							      "E: body\nLAST: \\n\\r.\\0\nC: BDAT 4 LAST\nc: "
							      "\\n\\r.\\0\n" OK "E: rcpt 0 FINAL 250 ok\nE: done\n" },
	{ "binary content without CHUNKING", 0,
		READY("S: 250-BINARYMIME\nS: 250-8BITMIME\n") "BEGIN binary\n"
							      "E: rcpt 0 MAIL 554 5.6.3 the message has binary "
							      "content, which the server does not take [here]\nE: "
							      "done\n" },
	{ "SMTPUTF8", 0,
		READY("S: 250-SMTPUTF8\n") "BEGIN utf8\nC: MAIL FROM:<ann@example.com> SMTPUTF8\n" OK
					   "C: RCPT TO:<d\xc3\xaf@example.net>\nCLOSED\nE: failed RCPT" LOST },
	{ "SMTPUTF8 not offered", 0,
		PLAIN "BEGIN utf8\n"
		      "E: rcpt 0 MAIL 553 5.6.7 the message needs SMTPUTF8, which the server does not offer [here]\nE: "
		      "done\n" },
	{ "DSN", 0,
		READY("S: 250-DSN\nS: 250-PIPELINING\n") "BEGIN reported\nC: MAIL FROM:<ann@example.com> RET=HDRS "
							 "ENVID=QQ+3D1+202\n"
							 "C: RCPT TO:<ben@example.net> NOTIFY=NEVER "
							 "ORCPT=rfc822;b+2Bn+3Dx@example.org\n"
							 "C: RCPT TO:<cy@example.net> NOTIFY=SUCCESS,DELAY\n"
							 "C: RCPT TO:<di@example.net> NOTIFY=FAILURE "
							 "ORCPT=utf-8;d\\x{EF}@example.org\nC: DATA\n"
							 "CLOSED\nE: failed MAIL" LOST },
	{ "DSN, whole message", 0,
		READY("S: 250-DSN\n") "BEGIN whole\nC: MAIL FROM:<ann@example.com> RET=FULL\nCLOSED\nE: failed "
				      "MAIL" LOST },
	{ "DSN not offered", 0, PIPE "BEGIN reported\n" MAIL THREE "C: DATA\nCLOSED\nE: failed MAIL" LOST },
	{ "REQUIRETLS", SCRIPT_TLS_ACTIVE,
		READY("S: 250-REQUIRETLS\n") "BEGIN private\nC: MAIL FROM:<ann@example.com> REQUIRETLS\nCLOSED\nE: "
					     "failed "
					     "MAIL" LOST },
	{ "REQUIRETLS not offered", SCRIPT_TLS_ACTIVE,
		PLAIN
		"BEGIN private\nE: rcpt 0 MAIL 550 5.7.30 the message needs REQUIRETLS, which the server does not "
		"offer [here]\nE: done\nBEGIN one\n" MAIL "CLOSED\nE: failed MAIL" LOST },
	{ "REQUIRETLS offered in clear is none", 0,
		READY("S: 250-REQUIRETLS\n") "BEGIN private\nE: rcpt 0 MAIL 550 5.7.30 the message needs REQUIRETLS, "
					     "which "
					     "the server does not offer [here]\nE: done\n" },
	{ "MT-PRIORITY", 0,
		READY("S: 250-MT-PRIORITY MIXER\n") "BEGIN urgent\nC: MAIL FROM:<ann@example.com> MT-PRIORITY=9\nS: "
						    "550 "
						    "no\nE: rcpt 0 MAIL 550 no\nE: done\nBEGIN slow\n"
						    "C: MAIL FROM:<ann@example.com> MT-PRIORITY=-3\nCLOSED\n"
						    "E: failed MAIL" LOST },
	{ "MT-PRIORITY, the usual one", 0,
		READY("S: 250-MT-PRIORITY\n") "BEGIN one\nC: MAIL FROM:<ann@example.com> MT-PRIORITY=0\nCLOSED\n"
					      "E: failed MAIL" LOST },
	{ "MT-PRIORITY not offered", 0, PLAIN "BEGIN urgent\n" MAIL "CLOSED\nE: failed MAIL" LOST },
	{ "DELIVERBY, mode R", 0,
		READY("S: 250-DELIVERBY 120,x=y\n") "BEGIN in time\nC: MAIL FROM:<ann@example.com> BY=120;RT\nCLOSED\n"
						    "E: failed MAIL" LOST },
	{ "DELIVERBY, mode R, below the minimum", 0,
		READY("S: 250-DELIVERBY 121\n") "BEGIN in time\nE: rcpt 0 MAIL 550 5.4.7 120 s are left to deliver the "
						"message, the server asks for 121 [here]\nE: done\n" },
	{ "DELIVERBY, mode R, no time left", 0,
		READY("S: 250-DELIVERBY\n") "BEGIN too late\nE: rcpt 0 MAIL 550 5.4.7 the time is over in which the "
					    "message was to be delivered [here]\n"
					    "E: rcpt 1 MAIL 550 5.4.7 the time is over in which the message was to be "
					    "delivered [here]\nE: rcpt 2 MAIL 550 5.4.7 the time is over in which the "
					    "message was to be delivered [here]\nE: done\n" },
	{ "DELIVERBY, mode R, not offered", 0,
		PLAIN
		"BEGIN in time\nE: rcpt 0 MAIL 550 5.3.3 the message is to be returned if it is late (DELIVERBY), "
		"which the server does not offer to do [here]\nE: done\n" },
	{ "DELIVERBY, mode N, long overdue", 0,
		READY("S: 250-DELIVERBY 60\n") "BEGIN overdue\nC: MAIL FROM:<ann@example.com> BY=-999999999;N\nCLOSED\n"
					       "E: failed MAIL" LOST },
	{ "DELIVERBY, mode N, not offered: delays are to be told", 0,
		READY("S: 250-PIPELINING\nS: 250-DSN\n") "BEGIN by noon\n" MAIL
							 "C: RCPT TO:<ben@example.net> NOTIFY=FAILURE,DELAY\n"
							 "C: RCPT TO:<cee@example.net> NOTIFY=SUCCESS,DELAY\n"
							 "C: RCPT TO:<dee@example.net> NOTIFY=NEVER\nC: DATA\n"
							 "CLOSED\nE: failed MAIL" LOST },
	{ "DELIVERBY, mode N, offered: delays are told by it", 0,
		READY("S: 250-PIPELINING\nS: 250-DSN\nS: 250-DELIVERBY\n") "BEGIN by noon\nC: MAIL "
									   "FROM:<ann@example.com> BY=60;N\nC: RCPT "
									   "TO:<ben@example.net>\n"
									   "C: RCPT TO:<cee@example.net> "
									   "NOTIFY=SUCCESS\nC: RCPT "
									   "TO:<dee@example.net> NOTIFY=NEVER\n"
									   "C: DATA\nCLOSED\nE: failed MAIL" LOST },
	{ "DELIVERBY, mode N, not offered", 0, PLAIN "BEGIN overdue\n" MAIL "CLOSED\nE: failed MAIL" LOST },
	{ "FUTURERELEASE, an interval", 0,
		READY("S: 250-FUTURERELEASE 3600 2026-11-23T14:39:00Z\n") "BEGIN in an hour\nC: MAIL "
									  "FROM:<ann@example.com> "
									  "HOLDFOR=3600\nCLOSED\nE: failed MAIL" LOST },
	{ "FUTURERELEASE, a date", 0,
		READY("S: 250-futurerelease 1 2026-11-23T15:39:00+01:00\n") "BEGIN on Monday\nC: MAIL "
									    "FROM:<ann@example.com> "
									    "HOLDUNTIL=2026-11-23T14:39:00Z\nCLOSED\n"
									    "E: failed MAIL" LOST },
	{ "FUTURERELEASE, too long an interval", 0,
		READY("S: 250-FUTURERELEASE 3599 2099-01-01T00:00:00Z\n") "BEGIN in an hour\n" NOT_HELD },
	{ "FUTURERELEASE, too late a date", 0,
		READY("S: 250-FUTURERELEASE 999999999 2026-11-23T14:38:59Z\n") "BEGIN on Monday\n" NOT_HELD },
	{ "FUTURERELEASE, not offered", 0, PLAIN "BEGIN in an hour\n" NOT_HELD "BEGIN on Monday\n" NOT_HELD },
	{ "FUTURERELEASE without its limits", 0, READY("S: 250-FUTURERELEASE\n") "BEGIN in an hour\n" NOT_HELD },
	{ "FUTURERELEASE without a date", 0, READY("S: 250-FUTURERELEASE 3600\n") "BEGIN in an hour\n" NOT_HELD },
	{ "FUTURERELEASE with limits of another kind", 0,
		READY("S: 250-FUTURERELEASE 1h 2099-01-01T00:00:00Z\n") "BEGIN in an hour\n" NOT_HELD },
	{ "nobody to send to", 0, PLAIN "BEGIN nobody\nE: done\nBEGIN one\n" MAIL "CLOSED\nE: failed MAIL" LOST },
	{ "addresses that would leave their brackets", 0,
		PIPE "BEGIN odd\nE: rcpt 0 RCPT 553 5.1.3 the address can't be sent over SMTP [here]\n"
		     "E: rcpt 1 RCPT 553 5.1.3 the address can't be sent over SMTP [here]\n"
		     "E: rcpt 3 RCPT 553 5.6.7 the address needs SMTPUTF8, which this message can't use here [here]\n"
		     "E: rcpt 4 RCPT 553 5.1.3 the address can't be sent over SMTP [here]\n"
		     "E: rcpt 5 RCPT 553 5.1.3 the address can't be sent over SMTP [here]\n" MAIL
		     "C: RCPT TO:<\"a >b\\\"\"@example.net>\nC: DATA\n" OK
		     "S: 550 no\nS: 503 no\nE: rcpt 2 RCPT 550 no\nE: done\n" },
	{ "a sender that would leave its brackets", 0,
		PIPE "BEGIN odd sender\nE: rcpt 0 MAIL 553 5.1.7 the sender's address can't be sent over SMTP "
		     "[here]\nE: done\n" },
};

static const struct sender_script chunking_scripts[] = {
	{ "one chunk, with the envelope answered before", 0,
		BDAT "BEGIN three\n" MAIL THREE OK OK "S: 550 no\n" OK
		     "E: rcpt 1 RCPT 550 no\nE: body\nLAST: hi\\r\\n\nC: BDAT 4 LAST\nC: hi\n"
		     "S: 250 took 4\nE: rcpt 0 FINAL 250 took 4\nE: rcpt 2 FINAL 250 took 4\nE: done\n" },
	{ "without PIPELINING", 0,
		READY("S: 250-CHUNKING\n") "BEGIN one\n" MAIL OK BEN OK
					   "E: body\nLAST: hi\\r\\n\nC: BDAT 4 LAST\nC: hi\n" OK
					   "E: rcpt 0 FINAL 250 ok\nE: done\n" },
	{ "in pieces; the last byte waits for the owner's word", 0,
		BDAT "BEGIN one\n" MAIL BEN OK OK
		     "E: body\nBODY: h\nC: BDAT 4 LAST\nc: h\nBODY: i\\r\\n\nc: i\\r\nLAST: \n"
		     "c: \\n\n" OK "E: rcpt 0 FINAL 250 ok\nE: done\n" },
	{ "an empty message", 0,
		BDAT "BEGIN empty\n" MAIL BEN OK OK "E: body\nLAST: \nC: BDAT 0 LAST\n" OK
		     "E: rcpt 0 FINAL 250 ok\nE: done\n" },
	{ "dots and bare line ends go as they are", 0,
		BDAT "BEGIN one\n" MAIL BEN OK OK "E: body\nLAST: .\\n.\\r\nC: BDAT 4 LAST\nc: .\\n.\\r\n" OK
		     "E: rcpt 0 FINAL 250 ok\nE: done\n" },
	{ "all refused: no BDAT", 0,
		BDAT "BEGIN one\n" MAIL BEN OK
		     "S: 550 no\nE: rcpt 0 RCPT 550 no\nE: done\nBEGIN one\nC: RSET\n" MAIL BEN
		     "CLOSED\nE: failed MAIL" LOST },
	{ "MAIL refused: no BDAT", 0,
		BDAT "BEGIN one\n" MAIL BEN "S: 550 no\nS: 503 no\nE: rcpt 0 MAIL 550 no\nE: done\n" },
	{ "the message refused, then RSET before the next", 0,
		BDAT "BEGIN one\n" MAIL BEN OK OK "E: body\nLAST: hi\\r\\n\nC: BDAT 4 LAST\nC: hi\n"
		     "S: 552 5.2.2 full\nE: rcpt 0 FINAL 552 5.2.2 full\nE: done\nBEGIN one\nC: RSET\n" MAIL BEN
		     "CLOSED\nE: failed MAIL" LOST },
	{ "too many bytes", 0,
		BDAT "BEGIN one\n" MAIL BEN OK OK "E: body\nBODY: hi\\r\\n\nC: BDAT 4 LAST\nc: hi\\r\nLAST: x\n"
		     "E: failed DATA 451 4.3.0 the message could not be read [here]\n" },
	{ "too few bytes", 0,
		BDAT "BEGIN one\n" MAIL BEN OK OK "E: body\nLAST: hi\n"
		     "E: failed DATA 451 4.3.0 the message could not be read [here]\n" },
	{ "refused within the chunk", 0,
		BDAT "BEGIN one\n" MAIL BEN OK OK "E: body\nBODY: hi\nC: BDAT 4 LAST\nc: hi\nS: 554 no\n"
		     "E: rcpt 0 DATA 554 no\nE: failed DATA 554 no\n" },
	{ "accepted within the chunk", 0,
		BDAT "BEGIN one\n" MAIL BEN OK OK "E: body\nBODY: hi\nC: BDAT 4 LAST\nc: hi\n" OK
		     "E: failed DATA 451 4.5.0 the server answered before it had the whole message [here]\n" },
};

#define IN_BODY PIPE "BEGIN three\n" MAIL THREE "C: DATA\n" OK OK OK OK "S: 354 go\nE: body\nBODY: h\nc: h\n"
#define IN_FINAL IN_BODY "LAST: i\\r\\n\nc: i\\r\\n.\\r\\n\n"

static const struct sender_script failure_scripts[] = {
	{ "421 to MAIL", 0,
		PIPE "BEGIN one\n" MAIL BEN "C: DATA\nS: 421 4.7.0 slow down\nE: rcpt 0 MAIL 421 4.7.0 slow down\n"
		     "E: failed MAIL 421 4.7.0 slow down\n" },
	{ "421 to one RCPT", 0,
		PIPE "BEGIN three\n" MAIL THREE "C: DATA\n" OK OK
		     "S: 421 bye\nE: rcpt 1 RCPT 421 bye\nE: failed RCPT 421 bye\n" },
	{ "421 to DATA", 0,
		PIPE "BEGIN one\n" MAIL BEN "C: DATA\n" OK OK
		     "S: 421 bye\nE: rcpt 0 DATA 421 bye\nE: failed DATA 421 bye\n" },
	{ "421 behind a refused MAIL", 0,
		PIPE "BEGIN one\n" MAIL BEN
		     "C: DATA\nS: 550 no\nS: 421 bye\nE: rcpt 0 MAIL 550 no\nE: failed RCPT 421 bye\n" },
	{ "421 to the message", 0,
		IN_FINAL "S: 421 bye\nE: rcpt 0 FINAL 421 bye\nE: rcpt 1 FINAL 421 bye\nE: rcpt 2 FINAL 421 bye\n"
			 "E: failed FINAL 421 bye\n" },
	{ "a question to MAIL", 0,
		PIPE "BEGIN one\n" MAIL BEN "C: DATA\nS: 334 ?\n"
		     "E: failed MAIL 451 4.5.0 the server's reply to MAIL makes no sense [here]\n" },
	{ "a question to RCPT", 0,
		PIPE "BEGIN one\n" MAIL BEN "C: DATA\n" OK "S: 354 go\n"
		     "E: failed RCPT 451 4.5.0 the server's reply to RCPT makes no sense [here]\n" },
	{ "DATA granted without asking for the message", 0,
		PIPE "BEGIN one\n" MAIL BEN "C: DATA\n" OK OK OK
		     "E: failed DATA 451 4.5.0 the server's reply to DATA makes no sense [here]\n" },
	{ "a question to the message", 0,
		IN_FINAL
		"S: 354 go on\nE: failed FINAL 451 4.5.0 the server's reply to the message makes no sense [here]\n" },
	{ "one reply too many, lock-step", 0,
		PLAIN "BEGIN one\n" MAIL OK BEN OK "C: DATA\nS: 354 go\nE: body\nLAST: hi\\r\\n\nC: hi\nC: .\n" OK
		      "E: rcpt 0 FINAL 250 ok\nE: done\n" OK
		      "E: failed QUIT 451 4.5.0 the server sent a reply that nobody asked for [here]\n" },
	{ "garbage for a reply", 0,
		PIPE "BEGIN one\n" MAIL BEN "C: DATA\n" OK "S: hello?\n"
		     "E: failed RCPT 451 4.5.0 the server sent what is no SMTP reply [here]\n" },
	{ "refused in the middle of the message", 0,
		IN_BODY "S: 552 5.3.4 too big\nE: rcpt 0 DATA 552 5.3.4 too big\nE: rcpt 1 DATA 552 5.3.4 too big\n"
			"E: rcpt 2 DATA 552 5.3.4 too big\nE: failed DATA 552 5.3.4 too big\n" },
	{ "accepted in the middle of the message: a lie", 0,
		IN_BODY OK "E: failed DATA 451 4.5.0 the server answered before it had the whole message [here]\n" },
	{ "closed in the middle of the message", 0, IN_BODY "CLOSED\nE: failed DATA" LOST },
	{ "closed between the final dot and its reply: no outcome", 0, IN_FINAL "CLOSED\nE: failed FINAL" LOST },
	{ "closed within the final reply: no outcome", 0, IN_FINAL "s: 250 o\nCLOSED\nE: failed FINAL" LOST },
	{ "closed at MAIL", 0, PIPE "BEGIN one\n" MAIL BEN "C: DATA\nCLOSED\nE: failed MAIL" LOST },
	{ "closed after one refused recipient: that outcome stands", 0,
		PIPE "BEGIN three\n" MAIL THREE "C: DATA\n" OK
		     "S: 550 no\nE: rcpt 0 RCPT 550 no\nCLOSED\nE: failed RCPT" LOST },
	{ "the owner can't read the message", 0,
		IN_BODY "ABORT\nE: failed DATA 451 4.3.0 the message could not be read [here]\n" },
	{ "the message turns out longer", 0,
		IN_BODY "LAST: i\\r\\n.\nE: failed DATA 451 4.3.0 the message could not be read [here]\n" },
	{ "the message turns out shorter", 0,
		IN_BODY "LAST: i\nE: failed DATA 451 4.3.0 the message could not be read [here]\n" },
	{ "no reply to MAIL", 0,
		PIPE "BEGIN one\n" MAIL BEN "C: DATA\nTICK 1000\nTICK 300999\nTICK 301000\n"
		     "E: failed MAIL 451 4.4.2 timed out after 300 s waiting for the reply to MAIL [here]\n" },
	{ "no reply to RCPT", 0,
		PIPE "BEGIN one\n" MAIL BEN "C: DATA\nTICK 1000\n" OK "TICK 301000\nTICK 600999\nTICK 601000\n"
		     "E: failed RCPT 451 4.4.2 timed out after 300 s waiting for the reply to RCPT [here]\n" },
	{ "no reply to DATA", 0,
		PIPE
		"BEGIN one\n" MAIL BEN "C: DATA\n" OK OK "TICK 1000\nTICK 180999\nTICK 181000\n"
		"E: failed DATA 451 4.4.2 timed out after 180 s waiting for the server to take the message [here]\n" },
	{ "the message does not go on", 0,
		IN_BODY
		"TICK 1000\nTICK 180999\nTICK 181000\n"
		"E: failed DATA 451 4.4.2 timed out after 180 s waiting for the server to take the message [here]\n" },
	{ "no reply to the message", 0,
		IN_FINAL
		"TICK 1000\nTICK 600999\nTICK 601000\n"
		"E: failed FINAL 451 4.4.2 timed out after 600 s waiting for the reply to the message [here]\n" },
};

#define RUN_ALL(scripts)                                                                                               \
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts)[0]; i++)                                              \
	sender_script_run(&(scripts)[i], sizeof transactions / sizeof transactions[0], transactions)

static void test_lock_step(void **state)
{
	(void)state;
	RUN_ALL(lock_step_scripts);
}

static void test_pipelining(void **state)
{
	(void)state;
	RUN_ALL(pipelining_scripts);
}

static void test_parameters(void **state)
{
	(void)state;
	RUN_ALL(parameter_scripts);
}

static void test_chunking(void **state)
{
	(void)state;
	RUN_ALL(chunking_scripts);
}

static void test_failures(void **state)
{
	(void)state;
	RUN_ALL(failure_scripts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lock_step),
		cmocka_unit_test(test_pipelining),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_chunking),
		cmocka_unit_test(test_failures),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
