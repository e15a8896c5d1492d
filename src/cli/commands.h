/* The subcommands: one function each, in cmd_<name>.c. argv[0] is the subcommand's name; returns a sysexits code. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include <stddef.h>

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
};
extern const struct command commands[];
extern const size_t command_count;

/* What the program does under this name with these arguments: argv[0] may be …/postrider, sendmail, mailq or newaliases. */
int commands_main(int argc, char **argv);
/* newaliases, sendmail -bi: nothing to do, and says so. */
int commands_new_aliases(void);
/* Lists the commands. */
void commands_print(void);

int cmd_account(int argc, char **argv);
int cmd_alias(int argc, char **argv);
int cmd_bounces(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_dkim(int argc, char **argv);
int cmd_dmarc(int argc, char **argv);
int cmd_dns(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_domain(int argc, char **argv);
int cmd_help(int argc, char **argv);
int cmd_init(int argc, char **argv);
int cmd_queue(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_reports(int argc, char **argv);
int cmd_send(int argc, char **argv);
int cmd_sendmail(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_shaping(int argc, char **argv);
int cmd_stream(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
