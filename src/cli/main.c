#include "cli/commands.h"

#include "base/log.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>

int main(int argc, char **argv)
{
	/* Mail and passwords are nobody else's business: what others may see is opened up where it is made. */
	umask(077);
	/* A reader that goes away (`postrider queue list | head`, a peer that closes) is an error of a write, not our end. */
	signal(SIGPIPE, SIG_IGN);
	int code = commands_main(argc, argv);
	if (fflush(stdout) != 0 && code == EX_OK)
		code = EX_IOERR;
	log_flush();
	return code;
}
