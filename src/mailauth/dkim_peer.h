/* For tests with an implementation that shares no line with ours: tests/interop/dkim_peer.py speaks for Debian's python3-dkim. Included by tests only. */
#ifndef MAILAUTH_DKIM_PEER_H
#define MAILAUTH_DKIM_PEER_H

#include "mailauth/dkim_testing.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_SKIP = 77 };

struct peer {
	pid_t pid;
	FILE *in, *out;
	struct buf answer;
};

static inline void peer_start(struct peer *peer, const char *script)
{
	int to[2], from[2];
	testing_must(pipe(to) == 0 && pipe(from) == 0);
	peer->pid = fork();
	testing_must(peer->pid >= 0);
	if (peer->pid == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		close(to[1]);
		close(from[0]);
		execl("/usr/bin/python3", "python3", "-I", script, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	peer->in = fdopen(to[1], "wb");
	peer->out = fdopen(from[0], "rb");
	testing_must(peer->in != NULL && peer->out != NULL);
}

/* The word of the next answer; its bytes are in peer->answer. "" if there is none. */
static inline const char *peer_read(struct peer *peer, char word[16])
{
	unsigned length = 0;
	word[0] = 0;
	buf_reset(&peer->answer);
	char line[64];
	if (fgets(line, sizeof line, peer->out) == NULL || sscanf(line, "%15s %u", word, &length) != 2)
		return "";
	testing_must(buf_reserve(&peer->answer, length + 1) == ERR_OK);
	testing_must(fread(peer->answer.ptr, 1, length, peer->out) == length);
	peer->answer.len = length;
	return word;
}

static inline const char *peer_ask(struct peer *peer, const char *command, struct view bytes, char word[16])
{
	fprintf(peer->in, "%s %zu\n", command, bytes.len);
	testing_must(fwrite(bytes.ptr, 1, bytes.len, peer->in) == bytes.len || bytes.len == 0);
	fflush(peer->in);
	return peer_read(peer, word);
}

/* False, with a word about it, if python3-dkim is not there. `source_file` is __FILE__. */
static inline bool peer_begin(struct peer *peer, const char *source_file)
{
	struct buf script = { 0 };
	char word[16];
	const char *in_tree = strstr(source_file, "src/mailauth");
	signal(SIGPIPE, SIG_IGN);
	testing_must(in_tree != NULL);
	testing_must(buf_append_format(&script, "%.*stests/interop/dkim_peer.py", (int)(in_tree - source_file),
			     source_file) == ERR_OK);
	peer_start(peer, buf_cstr(&script));
	buf_clear(&script);
	if (strcmp(peer_read(peer, word), "ready") == 0)
		return true;
	printf("SKIP: python3-dkim is not there for /usr/bin/python3 (make packages-test)\n");
	return false;
}

static inline void peer_end(struct peer *peer)
{
	fclose(peer->in);
	fclose(peer->out);
	waitpid(peer->pid, NULL, 0);
	buf_clear(&peer->answer);
}

#endif
