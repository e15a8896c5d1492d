/* The rules that come with the program, in the form of a rule file: `postrider shaping list` prints them. Large mailbox providers: numbers are
 * those that the providers publish, or what senders agree on; the replies are theirs. */
#include "queue/shaping_private.h"

/* clang-format off */
const char *const shaping_builtin_texts[] = {
	"site google\n"
	"  mx *.google.com *.googlemail.com *.smtp.goog\n"
	"  connections 10\n"
	"  messages-per-connection 50\n"
	"  when 421 4.7.28 \"rate\" slow 25% for 30m\n"
	"  when 421 4.7.0 \"unusual rate\" slow 25% for 30m\n"
	"  when 421 4.7.0 \"low reputation\" suspend 1h\n"
	"  when 421 4.7.0 \"try again later, closing connection\" slow 50% for 10m\n"
	"  when 421 4.4.5 \"server busy\" slow 50% for 10m\n"
	"  when 550 5.7.28 \"rate\" suspend 1h\n",

	/* Outlook.com, Hotmail, Live, MSN. */
	"site outlook\n"
	"  mx *.olc.protection.outlook.com\n"
	"  connections 10\n"
	"  messages-per-connection 50\n"
	"  when 421 * \"RP-001\" slow 25% for 1h\n"
	"  when 421 * \"RP-002\" slow 25% for 1h\n"
	"  when 421 * \"RP-003\" slow 25% for 1h\n"
	"  when 4xx * \"rate limited due to IP reputation\" slow 10% for 1h\n"
	"  when 4xx * \"maximum number of connections\" slow 50% for 15m\n"
	"  when 4xx * \"server busy\" slow 25% for 15m\n"
	"  when 5xx * \"on our block list\" suspend 2h\n",

	/* Companies at Microsoft 365: each domain has hosts of its own, but they are the same servers. */
	"site microsoft365\n"
	"  mx *.mail.protection.outlook.com *.mx.microsoft\n"
	"  connections 30\n"
	"  messages-per-connection 50\n"
	"  when 4xx * \"rate limited due to IP reputation\" slow 10% for 1h\n"
	"  when 421 4.3.2 \"concurrent connections\" slow 50% for 10m\n"
	"  when 451 4.7.500 \"server busy\" slow 25% for 10m\n"
	"  when 550 5.7.* \"banned sending IP\" suspend 2h\n"
	"  when 5xx * \"on our block list\" suspend 2h\n",

	/* Yahoo and AOL. GL01 is greylisting. */
	"site yahoo\n"
	"  mx *.yahoodns.net\n"
	"  connections 10\n"
	"  messages-per-connection 20\n"
	"  when 4xx * \"[GL01]\" nothing\n"
	"  when 4xx * \"max message per connection\" nothing\n"
	"  when 421 * \"[TSS05]\" suspend 4h\n"
	"  when 421 * \"[IPTS05]\" suspend 4h\n"
	"  when 421 * \"[TS03]\" suspend 4h\n"
	"  when 421 * \"permanently deferred\" suspend 4h\n"
	"  when 421 * \"temporarily deferred\" suspend 2h\n"
	"  when 451 * \"resources temporarily\" slow 50% for 15m\n"
	"  when 553 5.7.1 \"[BL\" suspend 2h\n",

	"site yahoo-japan\n"
	"  mx *.yahoo.co.jp\n"
	"  connections 2\n"
	"  messages-per-connection 20\n"
	"  when 421 * \"temporarily deferred\" suspend 1h\n"
	"  when 553 * \"VS98-IP0\" suspend 1h\n",

	"site apple\n"
	"  mx *.icloud.com\n"
	"  connections 10\n"
	"  messages-per-connection 10\n"
	"  when 421 * \"[HCM1]\" suspend 15m\n"
	"  when 4xx * \"[BS02]\" slow 25% for 15m\n"
	"  when 421 4.7.0 \"too many errors\" slow 50% for 10m\n",

	"site comcast\n"
	"  mx *.comcast.net\n"
	"  connections 25\n"
	"  messages-per-connection 1000\n"
	"  when 4xx * \"RL0000\" slow 50% for 30m\n"
	"  when 421 * \"too many sessions\" slow 50% for 10m\n"
	"  when 5xx * \"BL0000\" suspend 2h\n",

	"site charter\n"
	"  mx *.charter.net *.rr.com\n"
	"  when 5xx * \"AUP#I-1310\" suspend 5m\n"
	"  when 5xx * \"AUP#I-1320\" suspend 1h\n"
	"  when 5xx * \"AUP#I-1330\" suspend 6h\n",

	"site proofpoint\n"
	"  mx *.pphosted.com *.ppe-hosted.com\n"
	"  connections 20\n"
	"  when 421 * \"ipcheck.proofpoint.com\" suspend 30m\n"
	"  when 5xx * \"ipcheck.proofpoint.com\" suspend 2h\n"
	"  when 452 * \"too many recipients received this hour\" slow 50% for 30m\n",

	/* What Mimecast calls unavailable resources is its greylisting. */
	"site mimecast\n"
	"  mx *.mimecast.com *.mimecast.co.za *.mimecast-offshore.com\n"
	"  connections 10\n"
	"  messages-per-connection 100\n"
	"  when 451 * \"internal resource\" \"temporarily unavailable\" nothing\n",

	"site barracuda\n"
	"  mx *.barracudanetworks.com\n"
	"  connections 10\n"
	"  messages-per-connection 15\n",

	"site rackspace\n"
	"  mx *.emailsrvr.com\n"
	"  when 4xx * \"(G30)\" nothing\n"
	"  when 421 * \"(G2)\" slow 50% for 10m\n"
	"  when 451 * \"(G28)\" slow 25% for 1h\n",

	"site godaddy\n"
	"  mx *.secureserver.net\n"
	"  when 421 * \"IB007\" slow 50% for 15m\n"
	"  when 421 * \"IB101\" slow 50% for 10m\n",

	/* GMX, WEB.DE and mail.com. */
	"site gmx\n"
	"  mx *.gmx.net *.web.de *.mail.com\n"
	"  connections 4\n"
	"  messages-per-connection 20\n"
	"  when 421 * \"rate limit\" slow 25% for 2h\n"
	"  when 4xx * \"policy violations\" suspend 1h\n"
	"  when 4xx * \"policy restrictions\" suspend 1h\n"
	"  when 554 * \"block listed\" suspend 2h\n",

	"site ionos\n"
	"  mx *.kundenserver.de *.ionos.com *.ionos.de *.ionos.co.uk *.ionos.fr *.ionos.es *.1and1.com *.1and1.co.uk *.perfora.net\n"
	"  connections 4\n"
	"  messages-per-connection 20\n"
	"  when 421 * \"rate limit\" slow 25% for 2h\n"
	"  when 4xx * \"policy violations\" suspend 1h\n"
	"  when 4xx * \"policy restrictions\" suspend 1h\n"
	"  when 554 * \"block listed\" suspend 2h\n",

	/* Addresses that they don't know yet are refused at the door, until their postmaster was written to. */
	"site t-online\n"
	"  mx *.t-online.de\n"
	"  when 554 * \"tosa@rx.t-online.de\" suspend 4h\n",

	"site orange\n"
	"  mx *.orange.fr *.wanadoo.fr\n"
	"  connections 3\n"
	"  messages-per-connection 100\n"
	"  when 421 * \"OFR004_104\" slow 34% for 1h\n"
	"  when 421 * \"too many connections\" slow 34% for 1h\n"
	"  when 421 * \"OFR004_105\" suspend 1h\n"
	"  when 421 * \"service refuse\" suspend 1h\n"
	"  when 421 * \"OFR_999\" suspend 2h\n",

	"site laposte\n"
	"  mx *.laposte.net\n"
	"  connections 2\n"
	"  messages-per-connection 100\n"
	"  when 4xx * \"LPN027_503\" suspend 1h\n"
	"  when 421 4.7.0 \"too many errors\" slow 50% for 10m\n",

	"site sfr\n"
	"  mx *.sfr.fr\n"
	"  when 450 4.7.1 \"SFR_IN_\" suspend 2h\n"
	"  when 421 4.7.0 \"too many errors\" suspend 30m\n",

	"site free\n"
	"  mx *.free.fr\n"
	"  when 421 * \"too many errors from your ip\" suspend 1h\n"
	"  when 451 * \"too many errors from your ip\" suspend 1h\n",

	"site ovh\n"
	"  mx *.ovh.net\n"
	"  connections 10\n",

	"site mail-ru\n"
	"  mx *.mail.ru\n"
	"  connections 10\n"
	"  when 4xx * \"ratelimit\" slow 25% for 30m\n",

	"site yandex\n"
	"  mx *.yandex.ru *.yandex.net\n"
	"  connections 10\n"
	"  when 421 4.4.5 \"too many connections\" slow 50% for 15m\n",

	"site qq\n"
	"  mx *.qq.com\n"
	"  connections 4\n"
	"  messages-per-connection 8\n"
	"  when 5xx * \"ip frequency limited\" suspend 1h\n"
	"  when 5xx * \"connection frequency limited\" suspend 1h\n"
	"  when 5xx * \"domain frequency limited\" slow 25% for 1h\n"
	"  when 5xx * \"sender frequency limited\" slow 25% for 1h\n",

	/* 163.com, 126.com, yeah.net. */
	"site netease\n"
	"  mx *.netease.com\n"
	"  connections 4\n"
	"  messages-per-connection 7\n"
	"  when 4xx * \"HL:ICC\" slow 25% for 1h\n"
	"  when 4xx * \"HL:IFC\" slow 25% for 1h\n"
	"  when 4xx * \"HL:MEP\" suspend 1h\n"
	"  when 421 * \"too many connections\" slow 25% for 1h\n"
	"  when xxx * \"HL:REP\" suspend 2h\n"
	"  when xxx * \"HL:ITC\" suspend 2h\n"
	"  when xxx * \"HL:IPB\" suspend 2h\n",

	/* Everybody else. Greylisting asks for this one message to come again later, and for nothing else. */
	"site *\n"
	"  when 4xx * \"greylist\" nothing\n"
	"  when 4xx * \"graylist\" nothing\n"
	"  when 4xx * \"grey-list\" nothing\n"
	"  when 4xx * \"grey list\" nothing\n"
	"  when 4xx * \"too many\" \"connections\" slow 50% for 10m\n"
	"  when 421 * \"too many\" \"sessions\" slow 50% for 10m\n"
	"  when 4xx * \"connection rate limit\" slow 50% for 10m\n"
	"  when 421 * \"rate limit\" slow 50% for 10m\n"
	"  when 421 * \"throttl\" slow 50% for 10m\n",
	NULL,
};
/* clang-format on */
