/* The envelope: MAIL and RCPT, their paths and parameters; STARTTLS and AUTH. */
#include "smtp/receiver_dialogue.h"

static const struct dialogue path_dialogues[] = {
	{ "plain", DIALOGUE_HELLO,
		"C: MAIL FROM:<a@b.example>\nS: 250 2.1.0 Ok\nC: RCPT TO:<c@d.example>\nS: 250 2.1.5 Ok\nE: MAIL "
		"<a@b.example>\n"
		"E: RCPT <c@d.example>\n" },
	{ "null reverse-path", DIALOGUE_HELLO, "C: MAIL FROM:<>\nS: 250 ...\nE: MAIL <>\n" },
	{ "sloppy", DIALOGUE_HELLO,
		"C: MAIL FROM: <a@b.example>\nS: 250 ...\nE: MAIL <a@b.example>\nC: RCPT TO: <c@d.example> \nS: 250 "
		"...\n"
		"E: RCPT <c@d.example>\nC: RCPT TO : c@d.example\nS: 250 ...\nE: RCPT <c@d.example>\nC: rcpt "
		"to:c@d.example\n"
		"S: 250 ...\nE: RCPT <c@d.example>\nC: RCPT   TO:\t<c@d.example>\nS: 250 ...\nE: RCPT <c@d.example>\n"
		"C: RSET\nS: 250 ...\nE: ABORT\nC: MAIL FROM: a@b.example  SIZE=10\nS: 250 ...\nE: MAIL <a@b.example> "
		"size=10\n" },
	{ "case is kept", DIALOGUE_HELLO,
		"C: MAIL FROM:<John.DOE@B.Example>\nS: 250 ...\nE: MAIL <John.DOE@B.Example>\n" },
	{ "source routes are dropped", DIALOGUE_HELLO,
		"C: MAIL FROM:<@x.example,@y.example:a@b.example>\nS: 250 ...\nE: MAIL <a@b.example>\n"
		"C: RCPT TO:<@x.example:c@d.example>\nS: 250 ...\nE: RCPT <c@d.example>\nC: RCPT "
		"TO:<@x.example,:c@d.example>\n"
		"S: 501 5.1.3 ...\nC: RCPT TO:<@x.example:>\nS: 501 5.1.3 ...\n" },
	{ "quoted local parts", DIALOGUE_RCPT,
		"C: RCPT TO:<\"john doe\"@d.example>\nS: 250 ...\nE: RCPT <\\x22john doe\\x22@d.example>\n"
		"C: RCPT TO:<\"joe\"@d.example>\nS: 250 ...\nE: RCPT <joe@d.example>\n"
		"C: RCPT TO:<\"j\\\\oe\"@d.example>\nS: 250 ...\nE: RCPT <joe@d.example>\n"
		"C: RCPT TO:<\"a@b>\"@d.example>\nS: 250 ...\nE: RCPT <\\x22a@b>\\x22@d.example>\n"
		"C: RCPT TO:<\"open@d.example>\nS: 501 5.1.3 ...\n" },
	{ "literals", DIALOGUE_RCPT,
		"C: RCPT TO:<c@[192.0.2.1]>\nS: 250 ...\nE: RCPT <c@[192.0.2.1]>\nC: RCPT "
		"TO:<c@[IPv6:2001:db8::1]>\nS: 250 ...\n"
		"E: RCPT <c@[IPv6:2001:db8::1]>\nC: RCPT TO:<c@[192.0.2.256]>\nS: 501 5.1.3 ...\n" },
	{ "postmaster", DIALOGUE_RCPT,
		"C: RCPT TO:<postmaster>\nS: 250 ...\nE: RCPT <postmaster>\nC: RCPT TO:<Postmaster>\nS: 250 ...\nE: "
		"RCPT <Postmaster>\n"
		"C: RCPT TO:<somebody>\nS: 501 5.1.3 ...\nC: RSET\nS: 250 ...\nE: ABORT\nC: MAIL FROM:<postmaster>\nS: "
		"501 5.1.7 ...\n" },
	{ "not paths: MAIL", DIALOGUE_HELLO,
		"C: MAIL\nS: 501 5.5.4 ...\nC: MAIL FROM\nS: 501 5.5.4 ...\nC: MAIL FROM:\nS: 501 5.1.7 ...\nC: MAIL "
		"TO:<a@b>\n"
		"S: 501 5.5.4 ...\nC: MAIL FROM <a@b>\nS: 501 5.5.4 ...\nC: MAIL FROM:<pepe>\nS: 501 5.1.7 ...\nC: "
		"MAIL FROM:<a@b\n"
		"S: 501 5.1.7 ...\nC: MAIL FROM:<a@xn--->\nS: 501 5.1.7 ...\nC: MAIL FROM:<a b@c>\nS: 501 5.1.7 ...\n"
		"C: MAIL FROM:<a@b>SIZE=1\nS: 501 5.5.4 ...\nC: MAIL FROM:<a@b>>\nS: 501 5.5.4 ...\nC: MAIL "
		"FROM:<<a@b>\nS: 501 5.1.7 ...\n"
		"C: MAIL FROM:<a@b.example>\nS: 250 ...\n" },
	{ "not paths: RCPT", DIALOGUE_RCPT,
		"C: RCPT\nS: 501 5.5.4 ...\nC: RCPT FROM:<a@b>\nS: 501 5.5.4 ...\nC: RCPT TO:\nS: 501 5.1.3 ...\nC: "
		"RCPT TO:<>\n"
		"S: 501 5.1.3 ...\nC: RCPT TO:<a@b@c>\nS: 501 5.1.3 ...\nC: RCPT TO:<.a@b>\nS: 501 5.1.3 ...\nC: RCPT "
		"TO:<a@-b>\n"
		"S: 501 5.1.3 ...\nC: DATA\nS: 354 ...\nC: .\nS: 250 ...\n" },
	{ "lengths", DIALOGUE_RCPT,
		"C: RCPT TO:<\\R{64}x@b.example>\nS: 250 ...\nC: RCPT TO:<\\R{65}x@b.example>\nS: 501 5.1.3 Recipient "
		"address too long\n"
		"C: RCPT TO:<a@\\R{60}x.\\R{60}x.\\R{60}x.\\R{60}x.\\R{8}x>\nS: 250 ...\n"
		"C: RCPT TO:<a@\\R{60}x.\\R{60}x.\\R{60}x.\\R{60}x.\\R{9}x>\nS: 501 5.1.3 Recipient address too long\n"
		"C: RCPT TO:<\\R{480}x>\nS: 501 5.1.3 Recipient address too long\n" },
	{ "UTF-8 with SMTPUTF8", DIALOGUE_HELLO,
		"C: MAIL FROM:<j\xc3\xb6rg@b\xc3\xbc"
		"cher.example> SMTPUTF8\nS: 250 ...\nE: MAIL <j\\xc3\\xb6rg@b\\xc3\\xbc"
		"cher.example> SMTPUTF8\nC: RCPT TO:<\xe7\x94\xa8@b.example>\nS: 250 ...\nE: RCPT "
		"<\\xe7\\x94\\xa8@b.example>\n"
		"C: RCPT TO:<\xff@b.example>\nS: 501 5.1.3 ...\n" },
	{ "UTF-8 without SMTPUTF8", DIALOGUE_HELLO,
		"C: MAIL FROM:<j\xc3\xb6rg@b.example>\nS: 553 5.6.7 ...\nC: MAIL FROM:<a@b.example>\nS: 250 ...\n"
		"C: RCPT TO:<j\xc3\xb6rg@b.example>\nS: 550 5.6.7 ...\n" },
	{ "UTF-8 where SMTPUTF8 is not offered", DIALOGUE_HELLO | DIALOGUE_BARE,
		"C: MAIL FROM:<j\xc3\xb6rg@b.example>\nS: 501 5.1.7 ...\nC: MAIL FROM:<a@b.example> SMTPUTF8\nS: 555 "
		"5.5.4 ...\n" },
};

static const struct dialogue parameter_dialogues[] = {
	{ "all of MAIL", DIALOGUE_HELLO | DIALOGUE_AUTH_IN_CLEAR,
		"C: MAIL FROM:<a@b.example> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ314159+2B "
		"AUTH=c+40d.example\n"
		"S: 250 ...\nE: MAIL <a@b.example> size=1000 8BITMIME SMTPUTF8 HDRS envid=QQ314159+ "
		"auth=c@d.example\n" },
	{ "any case and order", DIALOGUE_HELLO | DIALOGUE_AUTH_IN_CLEAR,
		"C: MAIL FROM:<> auth=<> ret=full body=binarymime size=0\nS: 250 ...\nE: MAIL <> size=0 BINARYMIME "
		"FULL auth=\n" },
	{ "7BIT", DIALOGUE_HELLO, "C: MAIL FROM:<> BODY=7bit\nS: 250 ...\nE: MAIL <>\n" },
	{ "SIZE beyond the limit", DIALOGUE_HELLO,
		"C: MAIL FROM:<> SIZE=52428800\nS: 250 ...\nC: RSET\nS: 250 ...\nC: MAIL FROM:<> SIZE=52428801\nS: 552 "
		"5.3.4 ...\n"
		"C: MAIL FROM:<> SIZE=99999999999999999999\nS: 552 5.3.4 ...\nC: MAIL FROM:<> "
		"SIZE=999999999999999999999\n"
		"S: 501 5.5.4 ...\nC: MAIL FROM:<>\nS: 250 ...\n" },
	{ "SIZE without a limit", DIALOGUE_HELLO | DIALOGUE_NO_LIMITS,
		"C: MAIL FROM:<> SIZE=18446744073709551615\nS: 250 ...\nC: RSET\nS: 250 ...\n"
		"C: MAIL FROM:<> SIZE=18446744073709551616\nS: 552 5.3.4 ...\n" },
	{ "bad MAIL parameters", DIALOGUE_HELLO,
		"C: MAIL FROM:<> SIZE\nS: 501 5.5.4 ...\nC: MAIL FROM:<> SIZE=\nS: 501 5.5.4 ...\nC: MAIL FROM:<> "
		"SIZE=-1\n"
		"S: 501 5.5.4 ...\nC: MAIL FROM:<> SIZE=1 SIZE=1\nS: 501 5.5.4 ...\nC: MAIL FROM:<> BODY=9BIT\nS: 501 "
		"5.5.4 ...\n"
		"C: MAIL FROM:<> BODY\nS: 501 5.5.4 ...\nC: MAIL FROM:<> SMTPUTF8=1\nS: 501 5.5.4 ...\nC: MAIL FROM:<> "
		"SMTPUTF8=\n"
		"S: 501 5.5.4 ...\nC: MAIL FROM:<> RET=SOME\nS: 501 5.5.4 ...\nC: MAIL FROM:<> ENVID=+0\nS: 501 5.5.4 "
		"...\n"
		"C: MAIL FROM:<> ENVID=a=b\nS: 501 5.5.4 ...\nC: MAIL FROM:<> ENVID=\\R{101}x\nS: 501 5.5.4 ...\n"
		"C: MAIL FROM:<> ENVID=a+0D+0ABcc:x\nS: 501 5.5.4 ...\nC: MAIL FROM:<> =x\nS: 501 5.5.4 ...\n"
		"C: MAIL FROM:<> -x=y\nS: 501 5.5.4 ...\nC: MAIL FROM:<> ENVID=\\R{100}x\nS: 250 ...\n" },
	{ "unknown parameters", DIALOGUE_RCPT,
		"C: RCPT TO:<c@d.example> FOO\nS: 555 5.5.4 ...\nC: RCPT TO:<c@d.example> SIZE=1\nS: 555 5.5.4 ...\n"
		"C: RCPT TO:<c@d.example> RRVS=2014-04-03T23:01:00Z\nS: 555 5.5.4 ...\nC: RSET\nS: 250 ...\n"
		"C: MAIL FROM:<> REQUIRETLS\nS: 555 5.5.4 ...\nC: MAIL FROM:<> HOLDFOR=1\nS: 555 5.5.4 ...\nC: MAIL "
		"FROM:<> NOTIFY=NEVER\nS: 555 5.5.4 ...\n"
		"C: MAIL FROM:<> AUTH=<>\nS: 555 5.5.4 ...\nC: MAIL FROM:<> FOO=bar\nS: 555 5.5.4 ...\n" },
	{ "what is not offered is unknown", DIALOGUE_HELLO | DIALOGUE_BARE,
		"C: MAIL FROM:<> MT-PRIORITY=1\nS: 555 5.5.4 ...\nC: MAIL FROM:<> BY=60;R\nS: 555 5.5.4 ...\n"
		"C: MAIL FROM:<> RET=FULL\nS: 555 5.5.4 ...\nC: MAIL FROM:<> ENVID=x\nS: 555 5.5.4 ...\nC: MAIL "
		"FROM:<> BODY=BINARYMIME\n"
		"S: 501 5.5.4 ...\nC: MAIL FROM:<> BODY=8BITMIME\nS: 250 ...\nC: RCPT TO:<c@d.example> "
		"NOTIFY=NEVER\nS: 555 5.5.4 ...\n"
		"C: RCPT TO:<c@d.example> ORCPT=rfc822;c@d\nS: 555 5.5.4 ...\n" },
	{ "REQUIRETLS", DIALOGUE_HELLO | DIALOGUE_TLS,
		"C: MAIL FROM:<a@b.example> requiretls\nS: 250 ...\nE: MAIL <a@b.example> REQUIRETLS\nC: RSET\nS: 250 "
		"...\n"
		"E: ABORT\nC: MAIL FROM:<> REQUIRETLS=1\nS: 501 5.5.4 ...\nC: MAIL FROM:<> REQUIRETLS=\nS: 501 5.5.4 "
		"...\n"
		"C: MAIL FROM:<> REQUIRETLS REQUIRETLS\nS: 501 5.5.4 ...\nC: MAIL FROM:<>\nS: 250 ...\nE: MAIL <>\n" },
	{ "MT-PRIORITY", DIALOGUE_HELLO,
		"C: MAIL FROM:<> MT-PRIORITY=9\nS: 250 ...\nE: MAIL <> priority=9\nC: RSET\nS: 250 ...\nE: ABORT\n"
		"C: MAIL FROM:<> mt-priority=-9\nS: 250 ...\nE: MAIL <> priority=-9\nC: RSET\nS: 250 ...\nE: ABORT\n"
		"C: MAIL FROM:<> MT-PRIORITY=0\nS: 250 ...\nE: MAIL <> priority=0\nC: RSET\nS: 250 ...\nE: ABORT\n"
		"C: MAIL FROM:<> MT-PRIORITY=10\nS: 501 5.5.4 ...\nC: MAIL FROM:<> MT-PRIORITY=-0\nS: 501 5.5.4 ...\n"
		"C: MAIL FROM:<> MT-PRIORITY=+1\nS: 501 5.5.4 ...\nC: MAIL FROM:<> MT-PRIORITY=-\nS: 501 5.5.4 ...\n"
		"C: MAIL FROM:<> MT-PRIORITY=01\nS: 501 5.5.4 ...\nC: MAIL FROM:<> MT-PRIORITY\nS: 501 5.5.4 ...\n"
		"C: MAIL FROM:<> MT-PRIORITY=--1\nS: 501 5.5.4 ...\nC: MAIL FROM:<> MT-PRIORITY=1 MT-PRIORITY=1\n"
		"S: 501 5.5.4 ...\n" },
	{ "DELIVERBY", DIALOGUE_HELLO,
		"C: MAIL FROM:<> BY=10;R\nS: 250 ...\nE: MAIL <> by=10R\nC: RSET\nS: 250 ...\nE: ABORT\n"
		"C: MAIL FROM:<> by=+999999999;rt\nS: 250 ...\nE: MAIL <> by=999999999RT\nC: RSET\nS: 250 ...\nE: "
		"ABORT\n"
		"C: MAIL FROM:<> BY=-999999999;NT\nS: 250 ...\nE: MAIL <> by=-999999999NT\nC: RSET\nS: 250 ...\nE: "
		"ABORT\n"
		"C: MAIL FROM:<> BY=0;N\nS: 250 ...\nE: MAIL <> by=0N\nC: RSET\nS: 250 ...\nE: ABORT\n"
		"C: MAIL FROM:<> BY=9;R\nS: 555 5.5.4 ...\nC: MAIL FROM:<> BY=0;R\nS: 501 5.5.4 ...\n"
		"C: MAIL FROM:<> BY=-5;R\nS: 501 5.5.4 ...\nC: MAIL FROM:<> BY=60\nS: 501 5.5.4 ...\n"
		"C: MAIL FROM:<> BY=60;\nS: 501 5.5.4 ...\nC: MAIL FROM:<> BY=;R\nS: 501 5.5.4 ...\n"
		"C: MAIL FROM:<> BY=-;N\nS: 501 5.5.4 ...\nC: MAIL FROM:<> BY=60;X\nS: 501 5.5.4 ...\n"
		"C: MAIL FROM:<> BY=60;TR\nS: 501 5.5.4 ...\nC: MAIL FROM:<> BY=60;RTT\nS: 501 5.5.4 ...\n"
		"C: MAIL FROM:<> BY=1000000000;N\nS: 501 5.5.4 ...\nC: MAIL FROM:<> BY=+-1;N\nS: 501 5.5.4 ...\n" },
	{ "FUTURERELEASE", DIALOGUE_SUBMISSION | DIALOGUE_AUTH_IN_CLEAR | DIALOGUE_HELLO | DIALOGUE_HOLD,
		"C: AUTH PLAIN AHUAc2VjcmV0\nS: 235 ...\nE: AUTH ...\n"
		"C: MAIL FROM:<> HOLDFOR=1\nS: 250 ...\nE: MAIL <> until=1795444741000\nC: RSET\nS: 250 ...\nE: ABORT\n"
		"C: MAIL FROM:<> holdfor=86400\nS: 250 ...\nE: MAIL <> until=1795531140000\nC: RSET\nS: 250 ...\nE: "
		"ABORT\n"
		"C: MAIL FROM:<> HOLDUNTIL=2026-11-23T15:40:00+01:00\nS: 250 ...\nE: MAIL <> until=1795444800000\n"
		"C: RSET\nS: 250 ...\nE: ABORT\n"
		"C: MAIL FROM:<> HOLDUNTIL=2026-11-24T14:39:00Z BY=86400;R\nS: 250 ...\n"
		"E: MAIL <> by=86400R until=1795531140000\nC: RSET\nS: 250 ...\nE: ABORT\n"
		"C: MAIL FROM:<> HOLDUNTIL=2026-11-24T14:39:01Z\nS: 501 5.5.4 The message can't be held...\n"
		"C: MAIL FROM:<> HOLDUNTIL=2026-11-23T14:39:00Z\nS: 501 5.5.4 HOLDUNTIL is in the past\n"
		"C: MAIL FROM:<> HOLDUNTIL=tomorrow\nS: 501 5.5.4 Malformed...\n"
		"C: MAIL FROM:<> HOLDFOR=86401\nS: 501 5.5.4 The message can't be held...\n"
		"C: MAIL FROM:<> HOLDFOR=0\nS: 501 5.5.4 Malformed...\nC: MAIL FROM:<> HOLDFOR=-1\nS: 501 5.5.4 "
		"Malformed...\n"
		"C: MAIL FROM:<> HOLDFOR=1000000000\nS: 501 5.5.4 Malformed...\n"
		"C: MAIL FROM:<> HOLDFOR=5 HOLDUNTIL=2026-11-24T14:00:00Z\nS: 501 5.5.4 Either...\n"
		"C: MAIL FROM:<> HOLDFOR=61 BY=60;R\nS: 501 5.5.4 The message would be released after...\n"
		"C: MAIL FROM:<> HOLDFOR=61 BY=60;N\nS: 501 5.5.4 The message would be released after...\n"
		"C: MAIL FROM:<> HOLDFOR=60 BY=60;N\nS: 250 ...\nE: MAIL <> by=60N until=1795444800000\n" },
	{ "FUTURERELEASE where it is not offered", DIALOGUE_HELLO,
		"C: MAIL FROM:<> HOLDFOR=1\nS: 555 5.5.4 ...\nC: MAIL FROM:<> HOLDUNTIL=2026-11-24T14:00:00Z\nS: 555 "
		"5.5.4 "
		"...\n" },
	{ "DSN of RCPT", DIALOGUE_RCPT,
		"C: RCPT TO:<c@d.example> NOTIFY=NEVER\nS: 250 ...\nE: RCPT <c@d.example> notify=1\n"
		"C: RCPT TO:<c@d.example> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;Bob+2Bx@d.example\nS: 250 ...\n"
		"E: RCPT <c@d.example> notify=14 orcpt=rfc822;Bob+x@d.example\n"
		"C: RCPT TO:<c@d.example> notify=delay orcpt=UTF-8;j\\\\x{F6}rg@d.example\nS: 250 ...\n"
		"E: RCPT <c@d.example> notify=8 orcpt=UTF-8;j\\xc3\\xb6rg@d.example\n"
		"C: RCPT TO:<c@d.example> ORCPT=utf-8;j\xc3\xb6rg@d.example\nS: 250 ...\n"
		"E: RCPT <c@d.example> orcpt=utf-8;j\\xc3\\xb6rg@d.example\n"
		"C: RCPT TO:<f@d.example> ORCPT=rfc822;a+0Ab@d.example\nS: 501 5.5.4 ...\n" },
	{ "bad DSN of RCPT", DIALOGUE_RCPT,
		"C: RCPT TO:<c@d.example> NOTIFY=NEVER,DELAY\nS: 501 5.5.4 ...\nC: RCPT TO:<c@d.example> NOTIFY=\nS: "
		"501 5.5.4 ...\n"
		"C: RCPT TO:<c@d.example> NOTIFY=SUCCESS,\nS: 501 5.5.4 ...\nC: RCPT TO:<c@d.example> "
		"NOTIFY=,SUCCESS\nS: 501 5.5.4 ...\n"
		"C: RCPT TO:<c@d.example> NOTIFY=ALWAYS\nS: 501 5.5.4 ...\nC: RCPT TO:<c@d.example> NOTIFY=DELAY "
		"NOTIFY=DELAY\n"
		"S: 501 5.5.4 ...\nC: RCPT TO:<c@d.example> ORCPT=c@d.example\nS: 501 5.5.4 ...\nC: RCPT "
		"TO:<c@d.example> ORCPT=;x\n"
		"S: 501 5.5.4 ...\nC: RCPT TO:<c@d.example> ORCPT=rfc822;\nS: 501 5.5.4 ...\n"
		"C: RCPT TO:<c@d.example> ORCPT=rfc822;a+0D+0Ab\nS: 501 5.5.4 ...\nC: RCPT TO:<c@d.example> "
		"ORCPT=r(c;x\nS: 501 5.5.4 ...\n"
		"C: RCPT TO:<c@d.example> ORCPT=rfc822;j\xc3\xb6rg@d\nS: 501 5.5.4 ...\n"
		"C: RCPT TO:<c@d.example> ORCPT=rfc822;\\R{494}x\nS: 501 5.5.4 ...\n"
		"C: RCPT TO:<c@d.example> ORCPT=rfc822;\\R{493}x\nS: 250 ...\n" },
	{ "nothing of one recipient is left for the next", DIALOGUE_RCPT,
		"C: RCPT TO:<c@d.example> NOTIFY=NEVER ORCPT=rfc822;x\nS: 250 ...\nE: RCPT <c@d.example> notify=1 "
		"orcpt=rfc822;x\n"
		"C: RCPT TO:<e@d.example>\nS: 250 ...\nE: RCPT <e@d.example>\n" },
	{ "nothing of one transaction is left for the next", DIALOGUE_HELLO,
		"C: MAIL FROM:<a@b.example> SMTPUTF8 BODY=BINARYMIME\nS: 250 ...\nE: MAIL <a@b.example> BINARYMIME "
		"SMTPUTF8\nC: RSET\n"
		"S: 250 ...\nE: ABORT\nC: MAIL FROM:<c@d.example>\nS: 250 ...\nE: MAIL <c@d.example>\nC: RCPT "
		"TO:<j\xc3\xb6rg@d.example>\n"
		"S: 550 5.6.7 ...\nC: RCPT TO:<e@d.example>\nS: 250 ...\nE: RCPT <e@d.example>\nC: DATA\nS: 354 "
		"...\nE: DATA\nC: .\n"
		"S: 250 ...\nE: MESSAGE 0\n" },
	{ "a refused MAIL is none", DIALOGUE_HELLO,
		"C: MAIL FROM:<nobody@b.example>\nS: 550 5.1.1 ...\nC: RCPT TO:<c@d.example>\nS: 503 5.5.1 ...\nC: "
		"RSET\nS: 250 ...\n"
		"C: MAIL FROM:<bye@b.example>\nS: 421 ...\nE: MAIL <nobody@b.example>\nE: MAIL <bye@b.example>\nE: "
		"CLOSE ...\nCLOSED\n" },
	{ "421 to RCPT", DIALOGUE_RCPT,
		"C: RCPT TO:<bye@b.example>\nS: 421 ...\nE: RCPT ...\nE: ABORT\nE: CLOSE ...\nCLOSED\n" },
};

static const struct dialogue tls_dialogues[] = {
	{ "STARTTLS", DIALOGUE_STARTTLS,
		"S: 220 ...\nC: STARTTLS\nS: 220 2.0.0 Ready to start TLS\nE: CONNECT\nE: STARTTLS\nTLS\nC: MAIL "
		"FROM:<>\nS: 503 5.5.1 ...\n"
		"C: STARTTLS\nS: 503 5.5.1 TLS is active already\nC: HELO client.example\nS: 250 ...\nE: HELO "
		"client.example\n" },
	{ "not offered", DIALOGUE_HELLO, "C: STARTTLS\nS: 502 5.5.1 ...\n" },
	{ "active from the first byte", DIALOGUE_STARTTLS | DIALOGUE_TLS | DIALOGUE_HELLO,
		"C: STARTTLS\nS: 503 5.5.1 ...\n" },
	{ "a command behind it is not answered", DIALOGUE_STARTTLS | DIALOGUE_HELLO,
		"c: STARTTLS\\r\\nNOOP\\r\\n\nS: 220 ...\nE: STARTTLS\nE: CLOSE input in clear behind "
		"STARTTLS\nCLOSED\n" },
	{ "nor is a transaction", DIALOGUE_STARTTLS | DIALOGUE_HELLO,
		"C: STARTTLS\nC: EHLO injected.example\nC: MAIL FROM:<a@injected.example>\nS: 220 ...\nE: STARTTLS\nE: "
		"CLOSE ...\nCLOSED\n" },
	{ "not even a byte", DIALOGUE_STARTTLS | DIALOGUE_HELLO,
		"c: STARTTLS\\r\\n\\n\nS: 220 ...\nE: STARTTLS\nE: CLOSE ...\nCLOSED\n" },
	{ "it ends the transaction", DIALOGUE_STARTTLS | DIALOGUE_RCPT,
		"C: STARTTLS\nS: 220 ...\nE: ABORT\nE: STARTTLS\nTLS\nC: DATA\nS: 503 5.5.1 Send EHLO...\nC: HELO "
		"x\nS: 250 ...\nE: HELO x\n"
		"C: DATA\nS: 503 5.5.1 Send MAIL first\n" },
	{ "it ends the login", DIALOGUE_SUBMISSION | DIALOGUE_AUTH_IN_CLEAR | DIALOGUE_HELLO,
		"C: AUTH PLAIN AHUAc2VjcmV0\nS: 235 ...\nC: STARTTLS\nS: 220 ...\nTLS\nC: HELO x\nS: 250 ...\nC: MAIL "
		"FROM:<>\nS: 530 ...\n" },
};

static const struct dialogue auth_dialogues[] = {
	{ "PLAIN with initial response", DIALOGUE_AUTH | DIALOGUE_TLS | DIALOGUE_HELLO,
		"C: AUTH PLAIN AHVzZXIAc2VjcmV0\nS: 235 2.7.0 Welcome\nE: AUTH PLAIN for= user=user "
		"password=secret\nC: AUTH PLAIN\n"
		"S: 503 5.5.1 ...\n" },
	{ "PLAIN without", DIALOGUE_AUTH | DIALOGUE_TLS | DIALOGUE_HELLO,
		"C: auth plain\nS: 334 \nC: Ym9zcwB1c2VyAHNlY3JldA==\nS: 235 ...\nE: AUTH PLAIN for=boss user=user "
		"password=secret\n" },
	{ "LOGIN", DIALOGUE_AUTH | DIALOGUE_TLS | DIALOGUE_HELLO,
		"C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dXNlcg==\nS: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\nS: 235 ...\n"
		"E: AUTH LOGIN for= user=user password=secret\n" },
	{ "LOGIN with initial response", DIALOGUE_AUTH | DIALOGUE_TLS | DIALOGUE_HELLO,
		"C: AUTH LOGIN dXNlcg==\nS: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\nS: 235 ...\nE: AUTH LOGIN for= user=user "
		"password=secret\n" },
	{ "wrong password, then right", DIALOGUE_AUTH | DIALOGUE_TLS | DIALOGUE_HELLO,
		"C: AUTH PLAIN AHUAeA==\nS: 535 5.7.8 ...\nC: AUTH PLAIN AHUAc2xvdw==\nS: 454 4.7.0 ...\nC: AUTH PLAIN "
		"AHUAc2VjcmV0\nS: 235 ...\n" },
	{ "421", DIALOGUE_AUTH | DIALOGUE_TLS | DIALOGUE_HELLO, "C: AUTH PLAIN AHUAYnll\nS: 421 ...\nCLOSED\n" },
	{ "cancelled", DIALOGUE_AUTH | DIALOGUE_TLS | DIALOGUE_HELLO,
		"C: AUTH PLAIN\nS: 334 \nC: *\nS: 501 5.7.0 ...\nC: AUTH LOGIN\nS: 334 ...\nC: dXNlcg==\nS: 334 "
		"...\nC: *\nS: 501 5.7.0 ...\n"
		"C: NOOP\nS: 250 ...\n" },
	{ "malformed", DIALOGUE_AUTH | DIALOGUE_TLS | DIALOGUE_HELLO,
		"C: AUTH PLAIN something\nS: 501 5.5.2 ...\nC: AUTH PLAIN AHU=\nS: 501 5.5.2 ...\nC: AUTH PLAIN =\nS: "
		"501 5.5.2 ...\n"
		"C: AUTH PLAIN\nS: 334 \nc: AHU\\0\\r\\n\nS: 501 5.5.2 ...\nC: AUTH PLAIN\nS: 334 \nC: \nS: 501 5.5.2 "
		"...\nC: AUTH PLAIN AHUAc2VjcmV0\n"
		"S: 421 4.7.0 Too many failed...\nCLOSED\n" },
	{ "other mistakes", DIALOGUE_AUTH | DIALOGUE_TLS | DIALOGUE_HELLO,
		"C: AUTH\nS: 501 5.5.4 ...\nC: AUTH CRAM-MD5\nS: 504 5.5.4 ...\nC: AUTH PLAIN a b\nS: 501 5.5.4 "
		"...\nC: AUTH PLAIN\nS: 334 \n"
		"C: NOOP\nS: 501 5.5.2 ...\nC: NOOP\nS: 250 ...\n" },
	{ "long lines", DIALOGUE_AUTH | DIALOGUE_TLS | DIALOGUE_HELLO,
		"C: AUTH PLAIN\nS: 334 \nC: \\R{12286}A\nS: 501 5.5.2 ...\nC: AUTH PLAIN\nS: 334 \nC: \\R{12287}A\nS: "
		"500 5.5.6 ...\nC: NOOP\n"
		"S: 250 ...\nC: AUTH PLAIN \\R{12284}A\nS: 500 ...\nC: AUTH LOGIN \\R{5460}A\nS: 334 ...\nC: *\nS: 501 "
		"...\n" },
	{ "never in clear", DIALOGUE_AUTH | DIALOGUE_HELLO,
		"C: AUTH PLAIN AHUAc2VjcmV0\nS: 538 5.7.11 ...\nC: MAIL FROM:<>\nS: 250 ...\n" },
	{ "not offered", DIALOGUE_TLS | DIALOGUE_HELLO, "C: AUTH PLAIN\nS: 502 5.5.1 ...\n" },
	{ "too many failures", DIALOGUE_AUTH | DIALOGUE_TLS | DIALOGUE_SMALL | DIALOGUE_HELLO,
		"C: AUTH PLAIN AHUAeA==\nS: 535 ...\nC: AUTH PLAIN AHUAeA==\nS: 535 ...\nC: AUTH PLAIN "
		"AHUAc2VjcmV0\nS: 421 4.7.0 ...\nCLOSED\n" },
	{ "login survives EHLO", DIALOGUE_SUBMISSION | DIALOGUE_TLS | DIALOGUE_HELLO,
		"C: AUTH PLAIN AHUAc2VjcmV0\nS: 235 ...\nC: HELO again.example\nS: 250 ...\nC: AUTH PLAIN\nS: 503 "
		"5.5.1 ...\nC: MAIL FROM:<>\nS: 250 ...\n" },
	{ "submission needs TLS, then a login", DIALOGUE_SUBMISSION,
		"S: 220 ...\nC: HELO x\nS: 250 ...\nC: MAIL FROM:<>\nS: 530 5.7.0 Must issue a STARTTLS command "
		"first\nC: STARTTLS\nS: 220 ...\nTLS\n"
		"C: HELO x\nS: 250 ...\nC: MAIL FROM:<>\nS: 530 5.7.0 Authentication required\nC: AUTH PLAIN "
		"AHUAc2VjcmV0\nS: 235 ...\n"
		"C: MAIL FROM:<a@b.example>\nS: 250 ...\n" },
	{ "submission in clear, for tests", DIALOGUE_SUBMISSION | DIALOGUE_AUTH_IN_CLEAR | DIALOGUE_HELLO,
		"C: MAIL FROM:<>\nS: 530 5.7.0 Authentication required\nC: AUTH PLAIN AHUAc2VjcmV0\nS: 235 ...\nC: "
		"MAIL FROM:<>\nS: 250 ...\n" },
};

static void test_paths(void **state)
{
	(void)state;
	dialogue_run_all(path_dialogues, sizeof path_dialogues / sizeof *path_dialogues);
}

static void test_parameters(void **state)
{
	(void)state;
	dialogue_run_all(parameter_dialogues, sizeof parameter_dialogues / sizeof *parameter_dialogues);
}

static void test_tls(void **state)
{
	(void)state;
	dialogue_run_all(tls_dialogues, sizeof tls_dialogues / sizeof *tls_dialogues);
}

static void test_auth(void **state)
{
	(void)state;
	dialogue_run_all(auth_dialogues, sizeof auth_dialogues / sizeof *auth_dialogues);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_auth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
