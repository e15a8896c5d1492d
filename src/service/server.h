/* The running server. */
#ifndef SERVICE_SERVER_H
#define SERVICE_SERVER_H

/* Starts everything the configuration asks for and runs until SIGTERM or SIGINT. Returns a sysexits code; what went wrong was told on
 * stderr in one sentence. */
int server_run(const char *config_path);

#endif
