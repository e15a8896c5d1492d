#include "cli/sendmail_pipe.h"

#include "cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Carries what is there; *ret_end when there will be no more. */
static enum err carry(int from, int to, bool *ret_end)
{
	uint8_t bytes[16384];
	ssize_t n = read(from, bytes, sizeof bytes);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return ERR_OK;
	if (n < 0 && errno != ECONNRESET)
		return err_set(err_from_errno(errno), "cannot read: %s", strerror(errno));
	if (n <= 0) {
		*ret_end = true;
		return ERR_OK;
	}
	return cli_write_fd(to, view_of(bytes, (size_t)n));
}

enum err sendmail_pipe(int server, int in, int out)
{
	struct pollfd waiting[2] = { { .fd = server, .events = POLLIN }, { .fd = in, .events = POLLIN } };
	for (;;) {
		if (poll(waiting, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_set(ERR_IO, "cannot wait for input: %s", strerror(errno));
		}
		bool end = false;
		enum err err = ERR_OK;
		if (waiting[0].revents != 0) {
			err = carry(server, out, &end);
			if (err != ERR_OK || end)
				return err;
		}
		if (waiting[1].revents != 0) {
			err = carry(in, server, &end);
			/* A server that has closed has said why: its words are read first. */
			if (err == ERR_CLOSED || end) {
				waiting[1].fd = -1;
				shutdown(server, SHUT_WR);
			} else if (err != ERR_OK) {
				return err;
			}
		}
	}
}
