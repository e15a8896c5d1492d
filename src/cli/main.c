#include "cli/cli.h"
#include "cli/commands.h"

#include "base/log.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Standard input, output and error that are closed are opened so that using them fails: else the next file or connection would get their numbers, and what is
 * printed would be written into a mailbox or a database. */
static bool guard_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return false;
	return true;
}

/* Everything that was printed is out, or that is told; but a reader that has gone (`postrider queue list | head`) knows it. */
static bool finish_output(void)
{
	struct stat st;
	bool failed = ferror(stdout) != 0;
	failed |= fflush(stdout) != 0;
	/* What failed before the last bytes has left no reason behind. */
	if (failed && (fstat(STDOUT_FILENO, &st) != 0 || (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode))))
		cli_error("cannot write all of the output (is the disk full?)");
	return !failed;
}

int main(int argc, char **argv)
{
	if (!guard_standard_files())
		return EX_OSERR;
	/* Mail and passwords are nobody else's business: what others may see is opened up where it is made. */
	umask(077);
	/* A reader that goes away (`postrider queue list | head`, a peer that closes) is an error of a write, not our end. */
	signal(SIGPIPE, SIG_IGN);
	int code = commands_main(argc, argv);
	if (!finish_output() && code == EX_OK)
		code = EX_IOERR;
	log_flush();
	return code;
}
