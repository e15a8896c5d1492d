/* Sessions: greeting, every command outside of the envelope, order, line ends, limits, time. */
#include "smtp/receiver_dialogue.h"

#define EHLO_LINES                                                                                                     \
	"S: 250-mx.example.org\nS: 250-PIPELINING\nS: 250-8BITMIME\nS: 250-ENHANCEDSTATUSCODES\nS: 250-SIZE "          \
	"52428800\n"

static const struct dialogue session_dialogues[] = {
	{ "EHLO on a plain listener", 0,
		"S: 220 mx.example.org ready\nC: EHLO client.example\n" EHLO_LINES
		"S: 250-CHUNKING\nS: 250-BINARYMIME\nS: 250-SMTPUTF8\nS: 250-DSN\nS: 250-MT-PRIORITY\nS: 250-DELIVERBY "
		"10\n"
		"S: 250-LIMITS MAILMAX=10000 RCPTMAX=1000\nS: 250 HELP\n"
		"E: CONNECT\nE: EHLO client.example\nC: QUIT\nS: 221 2.0.0 Bye\nE: CLOSE QUIT\nCLOSED\n" },
	{ "EHLO with nothing optional", DIALOGUE_BARE,
		"S: 220 ...\nC: EHLO client.example\n" EHLO_LINES
		"S: 250-LIMITS MAILMAX=10000 RCPTMAX=1000\nS: 250 HELP\n" },
	{ "EHLO without limits", DIALOGUE_BARE | DIALOGUE_NO_LIMITS,
		"S: 220 ...\nC: EHLO client.example\nS: 250-mx...\nS: 250-PIPELINING\nS: 250-8BITMIME\n"
		"S: 250-ENHANCEDSTATUSCODES\nS: 250-SIZE\nS: 250 HELP\n" },
	{ "EHLO before TLS and behind it", DIALOGUE_SUBMISSION | DIALOGUE_BARE,
		"S: 220 ...\nC: EHLO client.example\n" EHLO_LINES
		"S: 250-STARTTLS\nS: 250-LIMITS ...\nS: 250 HELP\nC: STARTTLS\nS: 220 2.0.0 Ready to start TLS\nTLS\n"
		"C: EHLO client.example\n" EHLO_LINES "S: 250-AUTH PLAIN LOGIN\nS: 250-LIMITS ...\nS: 250 HELP\n"
		"C: AUTH PLAIN AHUAc2VjcmV0\nS: 235 ...\nC: EHLO client.example\n" EHLO_LINES
		"S: 250-LIMITS ...\nS: 250 HELP\n" },
	{ "EHLO with TLS from the first byte", DIALOGUE_SUBMISSION | DIALOGUE_TLS | DIALOGUE_BARE,
		"S: 220 ...\nC: EHLO client.example\n" EHLO_LINES
		"S: 250-AUTH PLAIN LOGIN\nS: 250-LIMITS ...\nS: 250 HELP\n" },
	{ "REQUIRETLS is offered inside TLS only", DIALOGUE_STARTTLS,
		"S: 220 ...\nC: EHLO client.example\n" EHLO_LINES
		"S: 250-CHUNKING\nS: 250-BINARYMIME\nS: 250-SMTPUTF8\nS: 250-DSN\nS: 250-MT-PRIORITY\nS: 250-DELIVERBY "
		"10\n"
		"S: 250-STARTTLS\nS: 250-LIMITS ...\nS: 250 HELP\nC: STARTTLS\nS: 220 2.0.0 Ready to start TLS\nTLS\n"
		"C: EHLO client.example\n" EHLO_LINES "S: 250-CHUNKING\nS: 250-BINARYMIME\nS: 250-SMTPUTF8\nS: "
		"250-DSN\nS: 250-REQUIRETLS\nS: 250-MT-PRIORITY\n"
		"S: 250-DELIVERBY 10\nS: 250-LIMITS ...\nS: 250 HELP\n" },
	{ "FUTURERELEASE, with its limit as a moment", DIALOGUE_SUBMISSION | DIALOGUE_BARE | DIALOGUE_HOLD,
		"S: 220 ...\nC: EHLO client.example\n" EHLO_LINES "S: 250-FUTURERELEASE 86400 2026-11-24T14:39:00Z\n"
		"S: 250-STARTTLS\nS: 250-LIMITS ...\nS: 250 HELP\n" },
	{ "HELO", 0,
		"S: 220 ...\nC: HELO client.example\nS: 250 mx.example.org\nE: CONNECT\nE: HELO client.example\n" },
	{ "names that are let pass", 0,
		"S: 220 ...\nC: HELO [192.0.2.1]\nS: 250 ...\nC: HELO [IPv6:2001:db8::1]\nS: 250 ...\nC: HELO "
		"my_pc\nS: 250 "
		"...\nC: HELO 192.0.2.1\nS: 250 ...\nC: helo localhost\nS: 250 ...\nC: HELO host.example.\nS: 250 ...\n"
		"C: HELO   spaces.example  \nS: 250 ...\n" },
	{ "names that are not", 0,
		"S: 220 ...\nC: HELO\nS: 501 5.5.4 ...\nC: EHLO \nS: 501 5.5.4 ...\nC: EHLO two words\nS: 501 5.5.4 "
		"...\n"
		"C: EHLO [192.0.2]\nS: 501 5.5.4 ...\nC: EHLO [192.0.2.1\nS: 501 5.5.4 ...\nC: EHLO a..b\nS: 501 5.5.4 "
		"...\n"
		"C: EHLO .\nS: 501 5.5.4 ...\nC: EHLO <script>\nS: 501 5.5.4 ...\nC: EHLO \\R{64}a.b\nS: 501 5.5.4 "
		"...\n"
		"C: EHLO j\xc3\xb6rg\nS: 501 5.5.4 ...\nC: MAIL FROM:<>\nS: 503 5.5.1 ...\n" },
	{ "EHLO refused by the owner", 0,
		"S: 220 ...\nC: EHLO refused.example\nS: 550 5.7.1 Not you\nC: MAIL FROM:<>\nS: 503 5.5.1 ...\n"
		"C: EHLO fine.example\nS: 250-...\nS: 250-...\nS: 250-...\nS: 250-...\nS: 250-...\nS: 250-...\nS: "
		"250-...\nS: 250-...\nS: "
		"250-...\n"
		"S: 250-...\nS: 250-...\nS: 250-...\nS: 250 HELP\nC: MAIL FROM:<>\nS: 250 ...\n" },
	{ "EHLO answered 421", 0,
		"S: 220 ...\nC: EHLO bye.example\nS: 421 4.7.0 Go away\nE: CONNECT\nE: EHLO bye.example\n"
		"E: CLOSE answered with 421\nCLOSED\n" },
	{ "the small commands", 0,
		"S: 220 ...\nC: NOOP\nS: 250 2.0.0 Ok\nC: NOOP whatever that is\nS: 250 2.0.0 Ok\nC: RSET\nS: 250 "
		"2.0.0 Ok\n"
		"C: VRFY postmaster\nS: 252 2.0.0 ...\nC: VRFY\nS: 501 5.5.4 ...\nC: EXPN staff\nS: 502 5.5.1 ...\n"
		"C: HELP\nS: 214 2.0.0 ...\nC: HELP MAIL\nS: 214 2.0.0 ...\nC: TURN\nS: 502 5.5.1 ...\nC: SEND "
		"FROM:<a@b>\n"
		"S: 502 5.5.1 ...\nC: SOML\nS: 502 ...\nC: SAML\nS: 502 ...\nC: ETRN x\nS: 502 ...\n" },
	{ "unknown commands", DIALOGUE_HELLO,
		"C: WHATISTHIS\nS: 500 5.5.2 ...\nC: \nS: 500 5.5.2 ...\nC:  NOOP\nS: 500 5.5.2 ...\nC: NOOPE\nS: 500 "
		"5.5.2 ...\n"
		"C: MAILFROM:<a@b>\nS: 500 5.5.2 ...\nC: Received: from x\nS: 500 5.5.2 ...\nC: XCLIENT "
		"ADDR=1.2.3.4\nS: 500 ...\n" },
	{ "any case, blanks at the end", 0,
		"S: 220 ...\nC: hElO client.example\t \nS: 250 ...\nC: noop  \nS: 250 ...\nC: rset\t\nS: 250 ...\n"
		"C: mail from:<a@b.example>\nS: 250 ...\nC: rcpt to:<c@d.example>\nS: 250 ...\nC: data \nS: 354 "
		"...\nC: .\n"
		"S: 250 ...\nC: quit\nS: 221 ...\nCLOSED\n" },
	{ "arguments where none may be", DIALOGUE_RCPT,
		"C: RSET now\nS: 501 5.5.4 ...\nC: DATA now\nS: 501 5.5.4 ...\nC: STARTTLS now\nS: 501 5.5.4 ...\n"
		"C: DATA\nS: 354 ...\nC: .\nS: 250 ...\nC: QUIT now\nS: 221 ...\nCLOSED\n" },
	{ "before HELO", 0,
		"S: 220 ...\nC: MAIL FROM:<a@b.example>\nS: 503 5.5.1 ...\nC: RCPT TO:<a@b.example>\nS: 503 5.5.1 ...\n"
		"C: DATA\nS: 503 5.5.1 ...\nC: AUTH PLAIN\nS: 503 5.5.1 ...\nc: BDAT 3\\r\\nabc\nS: 503 5.5.1 ...\n"
		"C: NOOP\nS: 250 ...\nE: CONNECT\n" },
	{ "before MAIL", DIALOGUE_HELLO,
		"C: RCPT TO:<a@b.example>\nS: 503 5.5.1 Send MAIL first\nC: DATA\nS: 503 5.5.1 Send MAIL first\n"
		"C: BDAT 0 LAST\nS: 503 5.5.1 Send MAIL first\nC: MAIL FROM:<>\nS: 250 ...\n" },
	{ "before RCPT", DIALOGUE_HELLO,
		"C: MAIL FROM:<a@b.example>\nS: 250 ...\nC: DATA\nS: 503 5.5.1 Send RCPT first\nC: RCPT "
		"TO:<a@b.example>\n"
		"S: 250 ...\nC: DATA\nS: 354 ...\nC: .\nS: 250 ...\n" },
	{ "nested MAIL", DIALOGUE_RCPT,
		"C: MAIL FROM:<>\nS: 503 5.5.1 ...\nC: AUTH PLAIN\nS: 503 5.5.1 ...\nC: DATA\nS: 354 ...\nC: .\nS: 250 "
		"...\n" },
	{ "RSET ends the transaction", DIALOGUE_RCPT,
		"C: RSET\nS: 250 ...\nE: ABORT\nC: RSET\nS: 250 ...\nC: DATA\nS: 503 5.5.1 Send MAIL first\n" },
	{ "EHLO ends the transaction", DIALOGUE_RCPT | DIALOGUE_BARE,
		"C: EHLO again.example\n" EHLO_LINES "S: 250-LIMITS ...\nS: 250 HELP\nE: EHLO again.example\nE: ABORT\n"
		"C: RCPT TO:<b@b.example>\nS: 503 5.5.1 Send MAIL first\n" },
	{ "a bad or refused EHLO does not", DIALOGUE_RCPT,
		"C: EHLO a b\nS: 501 5.5.4 ...\nC: EHLO refused.example\nS: 550 ...\nE: EHLO refused.example\nC: DATA\n"
		"S: 354 ...\nE: DATA\nC: .\nS: 250 ...\nE: MESSAGE 0\n" },
	{ "QUIT in a transaction", DIALOGUE_RCPT, "C: QUIT\nS: 221 ...\nE: ABORT\nE: CLOSE QUIT\nCLOSED\n" },
	{ "nothing is read behind QUIT", 0, "S: 220 ...\nC: QUIT\nC: NOOP\nS: 221 ...\nCLOSED\n" },
	{ "pipelining", DIALOGUE_HELLO,
		"C: MAIL FROM:<a@b.example>\nC: RCPT TO:<nobody@b.example>\nC: RCPT TO:<c@b.example>\nC: RCPT "
		"TO:<later@b.example>\n"
		"C: DATA\nC: Subject: x\nC: \nC: y\nC: .\nC: MAIL FROM:<>\nC: RCPT TO:<d@b.example>\nC: DATA\nC: z\nC: "
		".\nC: QUIT\n"
		"S: 250 2.1.0 ...\nS: 550 5.1.1 ...\nS: 250 2.1.5 ...\nS: 451 4.3.0 ...\nS: 354 ...\nS: 250 2.0.0 ...\n"
		"S: 250 2.1.0 ...\nS: 250 2.1.5 ...\nS: 354 ...\nS: 250 2.0.0 ...\nS: 221 ...\n"
		"E: MAIL <a@b.example>\nE: RCPT <nobody@b.example>\nE: RCPT <c@b.example>\nE: RCPT "
		"<later@b.example>\nE: DATA\n"
		"E: BODY Subject: x\\x0d\\x0a\\x0d\\x0ay\\x0d\\x0a\nE: MESSAGE 17\nE: MAIL <>\nE: RCPT "
		"<d@b.example>\nE: DATA\n"
		"E: BODY z\\x0d\\x0a\nE: MESSAGE 3\nE: CLOSE QUIT\n" },
};

static const struct dialogue line_dialogues[] = {
	{ "bare LF in a command ends the session", DIALOGUE_HELLO,
		"c: NOOP\\nMAIL FROM:<evil@b.example>\\r\\nNOOP\\r\\n\nS: 500 5.5.2 Bare LF...\n"
		"E: CLOSE a bare LF in a command\nCLOSED\n" },
	{ "bare LF alone", DIALOGUE_RCPT, "c: \\n\nS: 500 5.5.2 Bare LF...\nE: ABORT\nE: CLOSE ...\nCLOSED\n" },
	{ "bare CR in a command", DIALOGUE_HELLO,
		"c: NOOP\\rMAIL FROM:<a@b.example>\\r\\n\nS: 500 5.5.2 Bare CR...\nC: NOOP\nS: 250 ...\n"
		"c: NOOP\\r\\r\\n\nS: 500 5.5.2 ...\nc: MAIL FROM:<a\\r@b.example>\\r\\n\nS: 500 5.5.2 ...\nC: "
		"NOOP\nS: 250 ...\n" },
	{ "NUL in a command", DIALOGUE_HELLO, "c: NOOP\\0\\r\\n\nS: 500 5.5.2 ...\nC: NOOP\nS: 250 ...\n" },
	{ "bare CR in BDAT: its bytes are unknown", DIALOGUE_RCPT,
		"c: BDAT 6\\r LAST\\r\\nNOOP\\r\\n\nS: 500 5.5.2 ...\nE: ABORT\nE: CLOSE a malformed BDAT\nCLOSED\n" },
	{ "512 bytes with CRLF are a line", DIALOGUE_HELLO, "C: NOOP \\R{505}x\nS: 250 ...\n" },
	{ "513 are not", DIALOGUE_HELLO, "C: NOOP \\R{506}x\nS: 500 5.5.2 Line too long\nC: NOOP\nS: 250 ...\n" },
	{ "far too long", DIALOGUE_HELLO,
		"C: NOOP \\R{100000}x\nS: 500 5.5.2 Line too long\nC: NOOP\nS: 250 ...\n"
		"C: \\R{12286}x\nS: 500 ...\nC: \\R{12287}x\nS: 500 ...\nC: NOOP\nS: 250 ...\n" },
	{ "far too long with a bare LF", DIALOGUE_HELLO, "c: NOOP \\R{20000}x\\n\nS: 500 5.5.2 Bare LF...\nCLOSED\n" },
	{ "MAIL has room for its parameters", DIALOGUE_HELLO,
		"C: MAIL FROM:<a@b.example>\\R{1221}\x20\nS: 250 ...\nC: RSET\nS: 250 ...\n"
		"C: MAIL FROM:<a@b.example>\\R{1227}\x20\nS: 500 5.5.2 ...\n" },
	{ "RCPT has too", DIALOGUE_RCPT,
		"C: RCPT TO:<a@b.example>\\R{1014}\x20\nS: 250 ...\nC: RCPT TO:<a@b.example>\\R{1020}\x20\nS: 500 "
		"5.5.2 ...\n" },
	{ "HTTP on the first line", 0,
		"S: 220 ...\nC: GET / HTTP/1.1\nC: MAIL FROM:<a@b.example>\nS: 554 5.7.0 ...\nE: CONNECT\nE: CLOSE an "
		"HTTP request\n"
		"CLOSED\n" },
	{ "HTTP later", DIALOGUE_RCPT,
		"C: POST /x HTTP/1.0\nS: 554 5.7.0 ...\nE: ABORT\nE: CLOSE an HTTP request\nCLOSED\n" },
	{ "CONNECT", 0, "S: 220 ...\nC: connect x:25 HTTP/1.0\nS: 554 ...\nCLOSED\n" },
};

static const struct dialogue limit_dialogues[] = {
	{ "commands", DIALOGUE_SMALL,
		"S: 220 ...\nC: NOOP\nC: NOOP\nC: NOOP\nC: NOOP\nC: NOOP\nC: NOOP\nC: NOOP\nC: NOOP\nC: NOOP\nC: "
		"NOOP\nC: NOOP\n"
		"C: NOOP\nC: NOOP\nC: NOOP\n"
		"S: 250 ...\nS: 250 ...\nS: 250 ...\nS: 250 ...\nS: 250 ...\nS: 250 ...\nS: 250 ...\nS: 250 ...\nS: "
		"250 ...\n"
		"S: 250 ...\nS: 250 ...\nS: 250 ...\nS: 421 4.7.0 Too many commands...\nCLOSED\n" },
	{ "errors", DIALOGUE_SMALL,
		"S: 220 ...\nC: X\nC: X\nC: X\nC: X\nC: NOOP\nS: 500 ...\nS: 500 ...\nS: 500 ...\nS: 500 ...\n"
		"S: 421 4.7.0 Too many errors...\nCLOSED\n" },
	{ "QUIT behind too many errors", DIALOGUE_SMALL,
		"S: 220 ...\nC: X\nC: X\nC: X\nC: X\nC: QUIT\nS: 500 ...\nS: 500 ...\nS: 500 ...\nS: 500 ...\nS: 221 "
		"...\nCLOSED\n" },
	{ "refusals of the owner are errors too", DIALOGUE_SMALL | DIALOGUE_HELLO,
		"C: MAIL FROM:<nobody@b.example>\nS: 550 ...\nC: MAIL FROM:<later@b.example>\nS: 451 ...\n"
		"C: MAIL FROM:<a@b.example>\nS: 250 ...\nC: X\nS: 500 ...\nC: X\nS: 500 ...\nC: RCPT TO:<b@b.example>\n"
		"S: 421 4.7.0 Too many errors...\nE: MAIL <nobody@b.example>\nE: MAIL <later@b.example>\nE: MAIL "
		"<a@b.example>\n"
		"E: ABORT\nE: CLOSE 421 4.7.0 Too many errors in this session\nCLOSED\n" },
	{ "overlong lines are errors too", DIALOGUE_SMALL,
		"S: 220 ...\nC: \\R{13000}x\nC: \\R{13000}x\nC: \\R{13000}x\nC: NOOP\\r\nC: \\R{13000}x\nS: 500 "
		"...\nS: 500 ...\n"
		"S: 500 ...\nS: 500 ...\nS: 421 ...\nCLOSED\n" },
	{ "recipients", DIALOGUE_SMALL | DIALOGUE_HELLO,
		"C: MAIL FROM:<>\nS: 250 ...\nC: RCPT TO:<a@b.example>\nS: 250 ...\nC: RCPT TO:<nobody@b.example>\nS: "
		"550 ...\n"
		"C: RCPT TO:<c@b.example>\nS: 250 ...\nC: RCPT TO:<d@b.example>\nS: 452 4.5.3 Too many recipients\n"
		"C: DATA\nS: 354 ...\nC: x\nC: .\nS: 250 ...\nC: MAIL FROM:<>\nS: 250 ...\nC: RCPT "
		"TO:<d@b.example>\nS: 250 ...\n" },
	{ "transactions", DIALOGUE_SMALL | DIALOGUE_HELLO,
		"C: MAIL FROM:<>\nS: 250 ...\nC: RSET\nS: 250 ...\nC: MAIL FROM:<nobody@b.example>\nS: 550 ...\nC: "
		"MAIL FROM:<>\n"
		"S: 250 ...\nC: RSET\nS: 250 ...\nC: MAIL FROM:<>\nS: 421 4.7.0 Too many messages...\nCLOSED\n" },
	{ "no limits", DIALOGUE_NO_LIMITS | DIALOGUE_RCPT,
		"DEADLINE none\nC: X\nS: 500 ...\nC: X\nS: 500 ...\nOPEN\n" },
};

static const struct dialogue time_dialogues[] = {
	{ "no command in time", 0,
		"S: 220 ...\nDEADLINE 300000\nTICK 299999\nOPEN\nC: NOOP\nS: 250 ...\nDEADLINE 300000\nTICK 300000\n"
		"S: 421 4.4.2 ...\nCLOSED\nDEADLINE none\n" },
	{ "half a command does not count", 0,
		"S: 220 ...\nTICK 200000\nc: NO\nTICK 99999\nOPEN\nc: O\nTICK 1\nS: 421 4.4.2 ...\nCLOSED\n" },
	{ "in a transaction", DIALOGUE_RCPT,
		"TICK 300000\nS: 421 4.4.2 ...\nE: ABORT\nE: CLOSE 421 4.4.2 ...\nCLOSED\n" },
	{ "no data in time", DIALOGUE_RCPT,
		"C: DATA\nS: 354 ...\nE: DATA\nDEADLINE 180000\nTICK 179999\nC: x\nDEADLINE 180000\nTICK 180000\nS: "
		"421 4.4.2 ...\n"
		"E: BODY x\\x0d\\x0a\nE: ABORT\nE: CLOSE ...\nCLOSED\n" },
	{ "a slow trickle", DIALOGUE_RCPT,
		"C: DATA\nS: 354 ...\nTICK 179000\nC: x\nTICK 179000\nC: x\nTICK 179000\nC: x\nTICK 179000\nC: x\nTICK "
		"179000\nC: x\n"
		"TICK 179000\nC: x\nTICK 179000\nC: x\nTICK 179000\nC: x\nTICK 179000\nC: x\nTICK 179000\nC: x\nTICK "
		"179000\nC: x\n"
		"TICK 179000\nC: x\nTICK 179000\nC: x\nTICK 179000\nC: x\nTICK 179000\nC: x\nTICK 179000\nC: x\nTICK "
		"179000\nC: x\n"
		"TICK 179000\nC: x\nTICK 179000\nC: x\nTICK 179000\nC: x\nDEADLINE 20000\nTICK 20000\nS: 421 4.4.2 "
		"...\nCLOSED\n" },
	{ "a slow trickle of chunks", DIALOGUE_RCPT,
		"C: BDAT 0\nS: 250 ...\nTICK 290000\nC: BDAT 0\nS: 250 ...\nTICK 290000\nC: BDAT 0\nS: 250 ...\nTICK "
		"290000\n"
		"C: BDAT 0\nS: 250 ...\nTICK 290000\nC: BDAT 0\nS: 250 ...\nTICK 290000\nC: BDAT 0\nS: 250 ...\nTICK "
		"290000\n"
		"C: BDAT 0\nS: 250 ...\nTICK 290000\nC: BDAT 0\nS: 250 ...\nTICK 290000\nC: BDAT 0\nS: 250 ...\nTICK "
		"290000\n"
		"C: BDAT 0\nS: 250 ...\nTICK 290000\nC: BDAT 0\nS: 250 ...\nTICK 290000\nC: BDAT 0\nS: 250 ...\nTICK "
		"290000\n"
		"C: BDAT 0\nS: 250 ...\nDEADLINE 120000\nC: BDAT 0 LAST\nS: 250 ...\nDEADLINE 300000\n" },
	{ "a refused chunk has its own time", DIALOGUE_HELLO,
		"TICK 290000\nC: NOOP\nS: 250 ...\n"
		"TICK 290000\nC: NOOP\nS: 250 ...\n"
		"TICK 290000\nC: NOOP\nS: 250 ...\n"
		"TICK 290000\nC: NOOP\nS: 250 ...\n"
		"TICK 290000\nC: NOOP\nS: 250 ...\n"
		"TICK 290000\nC: NOOP\nS: 250 ...\n"
		"TICK 290000\nC: NOOP\nS: 250 ...\n"
		"TICK 290000\nC: NOOP\nS: 250 ...\n"
		"TICK 290000\nC: NOOP\nS: 250 ...\n"
		"TICK 290000\nC: NOOP\nS: 250 ...\n"
		"TICK 290000\nC: NOOP\nS: 250 ...\n"
		"TICK 290000\nC: NOOP\nS: 250 ...\n"
		"TICK 290000\nC: NOOP\nS: 250 ...\n"
		"C: MAIL FROM:<a@a.example>\nS: 250 ...\nC: BDAT 6 LAST\nDEADLINE 180000\nTICK 179999\nc: "
		"a\\r\\nb\\r\\n\n"
		"S: 503 5.5.1 ...\nOPEN\n" },
	{ "while a question is open nothing times out", 0,
		"S: 220 ...\nHOLD\nC: EHLO client.example\nDEADLINE none\nTICK 10000000\nOPEN\nANSWER\nS: 250-...\nS: "
		"250-...\nS: 250-...\nS: "
		"250-...\n"
		"S: 250-...\nS: 250-...\nS: 250-...\nS: 250-...\nS: 250-...\nS: 250-...\nS: 250-...\nS: 250-...\nS: "
		"250 HELP\n"
		"DEADLINE 300000\n" },
	{ "in SASL", DIALOGUE_AUTH_IN_CLEAR | DIALOGUE_HELLO,
		"C: AUTH PLAIN\nS: 334 \nTICK 300000\nS: 421 4.4.2 ...\nCLOSED\n" },
	{ "before the handshake: no reply in the middle of TLS", DIALOGUE_STARTTLS,
		"S: 220 ...\nC: STARTTLS\nS: 220 ...\nE: CONNECT\nE: STARTTLS\nTICK 300000\nE: CLOSE timed out before "
		"the TLS handshake\n"
		"CLOSED\n" },
	{ "stop while idle", DIALOGUE_HELLO,
		"STOP Stopping, come back\nS: 421 4.3.2 Stopping, come back\nE: CLOSE Stopping, come back\nCLOSED\n" },
	{ "stop in the envelope", DIALOGUE_RCPT,
		"STOP Stopping\nS: 421 4.3.2 Stopping\nE: ABORT\nE: CLOSE Stopping\nCLOSED\n" },
	{ "stop in the data", DIALOGUE_RCPT,
		"C: DATA\nC: x\nS: 354 ...\nE: DATA\nSTOP Stopping\nS: 421 4.3.2 Stopping\nE: BODY x\\x0d\\x0a\nE: "
		"ABORT\n"
		"E: CLOSE ...\nCLOSED\n" },
	{ "stop while a message is being stored: its answer first", DIALOGUE_RCPT,
		"C: DATA\nS: 354 ...\nE: DATA\nHOLD\nC: x\nC: .\nE: BODY ...\nE: MESSAGE 3\nSTOP "
		"Stopping\nOPEN\nANSWER\nS: 250 2.0.0 Queued\n"
		"S: 421 4.3.2 Stopping\nE: CLOSE Stopping\nCLOSED\n" },
	{ "stop while a password is being checked", DIALOGUE_AUTH_IN_CLEAR | DIALOGUE_HELLO,
		"HOLD\nC: AUTH PLAIN AHUAc2VjcmV0\nSTOP Stopping\nOPEN\nANSWER\nS: 235 ...\nS: 421 4.3.2 "
		"Stopping\nCLOSED\n" },
	{ "stop while EHLO is being thought about", 0,
		"S: 220 ...\nHOLD\nC: EHLO client.example\nSTOP Stopping\nS: 421 4.3.2 Stopping\nCLOSED\n" },
	{ "stop before the handshake", DIALOGUE_STARTTLS,
		"S: 220 ...\nC: STARTTLS\nS: 220 ...\nE: CONNECT\nE: STARTTLS\nSTOP Stopping\nE: CLOSE "
		"Stopping\nCLOSED\n" },
};

static void test_session(void **state)
{
	(void)state;
	dialogue_run_all(session_dialogues, sizeof session_dialogues / sizeof *session_dialogues);
}

static void test_lines(void **state)
{
	(void)state;
	dialogue_run_all(line_dialogues, sizeof line_dialogues / sizeof *line_dialogues);
}

static void test_limits(void **state)
{
	(void)state;
	dialogue_run_all(limit_dialogues, sizeof limit_dialogues / sizeof *limit_dialogues);
}

static void test_times(void **state)
{
	(void)state;
	dialogue_run_all(time_dialogues, sizeof time_dialogues / sizeof *time_dialogues);
}

/* The answers to CONNECT, which the dialogues' policy always greets. */
static void test_connect(void **state)
{
	(void)state;
	static const struct {
		uint16_t code;
		const char *enhanced, *text, *wire;
		bool closed;
	} cases[] = {
		{ 220, NULL, "ready", "220 mx.example.org ready\r\n", false },
		{ 220, NULL, "mx.example.org ESMTP", "220 mx.example.org ESMTP\r\n", false },
		{ 220, NULL, "two\nlines", "220-mx.example.org two\r\n220 lines\r\n", false },
		{ 554, "5.7.1", "No service", "554 5.7.1 No service\r\n", false },
		{ 421, "4.7.0", "Busy", "421 4.7.0 Busy\r\n", true },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct smtp_receiver_options options;
		smtp_receiver_options_init(&options);
		options.hostname = VIEW("mx.example.org");
		struct smtp_receiver *receiver = smtp_receiver_new(&options, 0);
		struct smtp_event event;
		size_t used = 99;
		/* An early talker waits. */
		assert_int_equal(smtp_receiver_feed(receiver, VIEW("EHLO x\r\n"), &used), ERR_OK);
		assert_int_equal(used, 0);
		assert_true(smtp_receiver_next(receiver, &event));
		assert_int_equal(event.kind, SMTP_EVENT_CONNECT);
		assert_false(smtp_receiver_next(receiver, &event));
		struct smtp_reply reply = smtp_reply_make(cases[i].code, cases[i].enhanced, "%s", cases[i].text);
		assert_int_equal(smtp_receiver_answer(receiver, event.token, &reply), ERR_OK);
		assert_true(view_eq(smtp_receiver_output(receiver), view_from_cstr(cases[i].wire)));
		assert_int_equal(smtp_receiver_next(receiver, &event), cases[i].closed);
		smtp_receiver_free(receiver);
	}
}

/* RFC 5321 §3.1: behind 554 only QUIT is served. */
static struct smtp_reply turn_away(struct receiver_driver *driver, const struct smtp_event *event)
{
	(void)driver;
	assert_int_equal(event->kind, SMTP_EVENT_CONNECT);
	return smtp_reply_make(554, "5.7.1", "No");
}

static void test_turned_away(void **state)
{
	(void)state;
	struct smtp_receiver_options options;
	smtp_receiver_options_init(&options);
	struct receiver_driver driver;
	receiver_driver_init(&driver, &options);
	driver.decide = turn_away;
	receiver_driver_pump(&driver);
	receiver_driver_feed(&driver, VIEW("EHLO x\r\nX\r\nBDAT 6\r\nQUIT\r\nNOOP\r\nQUIT\r\n"), 1);
	assert_true(driver.closed);
	struct view rest = buf_view(&driver.out), line;
	static const char *const want[] = { "554 ", "503 ", "503 ", "503 ", "503 ", "221 " };
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		assert_true(view_split(&rest, '\n', &line));
		assert_true(view_starts_with(line, view_from_cstr(want[i])));
	}
	assert_int_equal(rest.len, 0);
	receiver_driver_clear(&driver);
}

static void test_state(void **state)
{
	(void)state;
	struct smtp_receiver_options options;
	smtp_receiver_options_init(&options);
	struct receiver_driver driver;
	bool is_ehlo = true;
	receiver_driver_init(&driver, &options);
	assert_int_equal(smtp_receiver_helo(driver.receiver, &is_ehlo).len, 0);
	assert_false(is_ehlo);
	receiver_driver_pump(&driver);
	receiver_driver_feed(&driver, VIEW("EHLO x.example\r\nMAIL FROM:<>\r\n"), 100);
	assert_true(view_eq(smtp_receiver_helo(driver.receiver, &is_ehlo), VIEW("x.example")));
	assert_true(is_ehlo);
	assert_true(smtp_receiver_in_transaction(driver.receiver));
	receiver_driver_feed(&driver, VIEW("RSET\r\n"), 100);
	assert_false(smtp_receiver_in_transaction(driver.receiver));
	receiver_driver_feed(&driver, VIEW("QUIT\r\n"), 100);
	size_t used = 77;
	assert_int_equal(smtp_receiver_feed(driver.receiver, VIEW("NOOP\r\n"), &used), ERR_STATE);
	assert_int_equal(used, 77);
	smtp_receiver_tick(driver.receiver, INT64_MAX);
	smtp_receiver_shutdown(driver.receiver, "x");
	smtp_receiver_tls_started(driver.receiver, 0);
	struct smtp_event event;
	assert_false(smtp_receiver_next(driver.receiver, &event));
	receiver_driver_clear(&driver);
	smtp_receiver_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_turned_away),
		cmocka_unit_test(test_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
