#ifndef STORE_SCHEMA_DMARC_H
#define STORE_SCHEMA_DMARC_H

/* Migration 5: DMARC: what our aggregate reports are made of (one row per day, author domain and all that a report tells apart), and the reports
 * of others about our domains. */
#define MAIN_5(BYTES, KEY, SERIAL, CLUSTERED)                                                                          \
	"CREATE TABLE dmarc_result ("                                                                                  \
	" day INTEGER NOT NULL,"                                                                                       \
	" policy_domain TEXT NOT NULL,"                                                                                \
	" row_key TEXT NOT NULL,"                                                                                      \
	" policy TEXT NOT NULL,"                                                                                       \
	" details TEXT NOT NULL,"                                                                                      \
	" messages BIGINT NOT NULL,"                                                                                   \
	" PRIMARY KEY (day, policy_domain, row_key))" CLUSTERED ";"                                                    \
	"CREATE TABLE dmarc_report ("                                                                                  \
	" id " SERIAL ","                                                                                              \
	" domain TEXT NOT NULL,"                                                                                       \
	" organization TEXT NOT NULL,"                                                                                 \
	" report_id TEXT NOT NULL,"                                                                                    \
	" begin_s BIGINT NOT NULL,"                                                                                    \
	" end_s BIGINT NOT NULL,"                                                                                      \
	" policy TEXT NOT NULL,"                                                                                       \
	" received_ms BIGINT NOT NULL,"                                                                                \
	" UNIQUE (domain, organization, report_id));"                                                                  \
	"CREATE TABLE dmarc_report_row ("                                                                              \
	" report BIGINT NOT NULL,"                                                                                     \
	" idx INTEGER NOT NULL,"                                                                                       \
	" source_ip TEXT NOT NULL,"                                                                                    \
	" messages BIGINT NOT NULL,"                                                                                   \
	" disposition TEXT NOT NULL,"                                                                                  \
	" dkim_aligned INTEGER NOT NULL,"                                                                              \
	" spf_aligned INTEGER NOT NULL,"                                                                               \
	" header_from TEXT NOT NULL,"                                                                                  \
	" envelope_from TEXT NOT NULL,"                                                                                \
	" details TEXT NOT NULL,"                                                                                      \
	" PRIMARY KEY (report, idx))" CLUSTERED ";"

#endif
