#ifndef STORE_SCHEMA_DMARC_H
#define STORE_SCHEMA_DMARC_H

/*
 * Migration 5: DMARC's and TLS reports.
 * dmarc_policy, dmarc_result: what our aggregate reports are made of: a policy domain on a day (days since 1970, UTC) with its policy as it was last
 *   seen, and one row for all that a report tells apart. `notes` grows with each change, so that only what was reported is removed. The row of the empty
 *   domain counts the day's domains.
 * dmarc_report, dmarc_report_row: others' aggregate reports about our domains. dmarc_failure: others' failure reports.
 * tls_report, tls_report_row: others' TLS reports about our domains.
 */
#define MAIN_5(BYTES, KEY, SERIAL, CLUSTERED)                                                                          \
	"CREATE TABLE dmarc_policy ("                                                                                  \
	" day INTEGER NOT NULL,"                                                                                       \
	" domain TEXT NOT NULL,"                                                                                       \
	" policy TEXT NOT NULL,"                                                                                       \
	" result_rows BIGINT NOT NULL,"                                                                                \
	" unlisted BIGINT NOT NULL,"                                                                                   \
	" notes BIGINT NOT NULL,"                                                                                      \
	" PRIMARY KEY (day, domain))" CLUSTERED ";"                                                                    \
	"CREATE TABLE dmarc_result ("                                                                                  \
	" day INTEGER NOT NULL,"                                                                                       \
	" domain TEXT NOT NULL,"                                                                                       \
	" row_key TEXT NOT NULL,"                                                                                      \
	" details TEXT NOT NULL,"                                                                                      \
	" messages BIGINT NOT NULL,"                                                                                   \
	" PRIMARY KEY (day, domain, row_key))" CLUSTERED ";"                                                           \
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
	"CREATE INDEX dmarc_report_end ON dmarc_report (domain, end_s);"                                               \
	"CREATE INDEX dmarc_report_received ON dmarc_report (received_ms);"                                            \
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
	" dkim_domain TEXT NOT NULL,"                                                                                  \
	" PRIMARY KEY (report, idx))" CLUSTERED ";"                                                                    \
	"CREATE TABLE dmarc_failure ("                                                                                 \
	" id " SERIAL ","                                                                                              \
	" domain TEXT NOT NULL,"                                                                                       \
	" reporter TEXT NOT NULL,"                                                                                     \
	" received_ms BIGINT NOT NULL,"                                                                                \
	" arrival_ms BIGINT NOT NULL,"                                                                                 \
	" source_ip TEXT NOT NULL,"                                                                                    \
	" mail_from TEXT NOT NULL,"                                                                                    \
	" header_from TEXT NOT NULL,"                                                                                  \
	" failure TEXT NOT NULL,"                                                                                      \
	" delivery_result TEXT NOT NULL,"                                                                              \
	" message_id TEXT NOT NULL,"                                                                                   \
	" incidents BIGINT NOT NULL);"                                                                                 \
	"CREATE INDEX dmarc_failure_received ON dmarc_failure (domain, received_ms);"                                  \
	"CREATE TABLE tls_report ("                                                                                    \
	" id " SERIAL ","                                                                                              \
	" domain TEXT NOT NULL,"                                                                                       \
	" organization TEXT NOT NULL,"                                                                                 \
	" report_id TEXT NOT NULL,"                                                                                    \
	" begin_s BIGINT NOT NULL,"                                                                                    \
	" end_s BIGINT NOT NULL,"                                                                                      \
	" policy_type TEXT NOT NULL,"                                                                                  \
	" successes BIGINT NOT NULL,"                                                                                  \
	" failures BIGINT NOT NULL,"                                                                                   \
	" received_ms BIGINT NOT NULL,"                                                                                \
	" UNIQUE (domain, organization, report_id, policy_type));"                                                     \
	"CREATE INDEX tls_report_end ON tls_report (domain, end_s);"                                                   \
	"CREATE INDEX tls_report_received ON tls_report (received_ms);"                                                \
	"CREATE TABLE tls_report_row ("                                                                                \
	" report BIGINT NOT NULL,"                                                                                     \
	" idx INTEGER NOT NULL,"                                                                                       \
	" result TEXT NOT NULL,"                                                                                       \
	" host TEXT NOT NULL,"                                                                                         \
	" sending_ip TEXT NOT NULL,"                                                                                   \
	" receiving_ip TEXT NOT NULL,"                                                                                 \
	" reason TEXT NOT NULL,"                                                                                       \
	" sessions BIGINT NOT NULL,"                                                                                   \
	" PRIMARY KEY (report, idx))" CLUSTERED ";"

#endif
