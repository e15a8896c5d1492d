#include "cli/cli.h"
#include "cli/commands.h"

#include <string.h>

int cmd_help(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "--help") != 0) {
		char program[] = "postrider";
		char help[] = "--help";
		char *words[] = { program, argv[1], help, NULL };
		return commands_main(3, words);
	}
	puts("Usage: postrider COMMAND [arguments] [options]\n");
	commands_print();
	puts("\npostrider COMMAND --help explains each. Most take --config FILE (else $POSTRIDER_CONFIG, else");
	puts("/etc/postrider/postrider.conf), and --json where a program reads the answer.");
	puts("Exit codes are those of sysexits.h: 64 wrong usage, 65 wrong data, 67 no such thing, 69 refused, 73 "
	     "exists");
	puts("already, 74 input/output error, 75 try again later, 77 not permitted, 78 wrong configuration.");
	puts("Called as sendmail, mailq or newaliases it does what programs expect of those.");
	return EX_OK;
}
