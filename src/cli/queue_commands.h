/* The words of `postrider queue`, and what they share: how messages are selected, and how a long queue is worked through. */
#ifndef CLI_QUEUE_COMMANDS_H
#define CLI_QUEUE_COMMANDS_H

#include "cli/admin_client.h"
#include "cli/cli.h"

/* Which messages; zero-initialised: not said. */
struct queue_selection {
	const char *config_path;
	const char *domain, *site, *sender, *stream;
	bool held, deferred, suspended, json;
};

#define QUEUE_SELECTION_OPTIONS(selection)                                                                             \
	{ .name = "domain",                                                                                            \
		.value_name = "DOMAIN",                                                                                \
		.help = "only recipients in this domain",                                                              \
		.ret_value = &(selection).domain },                                                                    \
		{ .name = "site",                                                                                      \
			.value_name = "SITE",                                                                          \
			.help = "only recipients whose mail goes to this site",                                        \
			.ret_value = &(selection).site },                                                              \
		{ .name = "sender",                                                                                    \
			.value_name = "ADDRESS",                                                                       \
			.help = "only mail from this sender (\"<>\": bounces)",                                        \
			.ret_value = &(selection).sender },                                                            \
		{ .name = "stream",                                                                                    \
			.value_name = "STREAM",                                                                        \
			.help = "only mail of this stream",                                                            \
			.ret_value = &(selection).stream },                                                            \
		{ .name = "held", .help = "only what is held", .ret_flag = &(selection).held },                        \
		{ .name = "deferred", .help = "only what was tried in vain", .ret_flag = &(selection).deferred },      \
		{ .name = "suspended",                                                                                 \
			.help = "only what waits for a suspension to end",                                             \
			.ret_flag = &(selection).suspended },                                                          \
		CLI_CONFIG_OPTION(&(selection).config_path), CLI_JSON_OPTION(&(selection).json)
#define QUEUE_SELECTION_SYNOPSIS "[--domain D] [--site S] [--sender A] [--stream N] [--held] [--deferred] [--suspended]"

/* The arguments of a request that say it. A new reference. */
json_t *queue_selection_json(const struct queue_selection *selection);

/* Runs a changing command on all that the selection (a JSON object, borrowed) matches, in bites, with progress on a terminal ("1,204,000 looked at,
 * 2,000 held"). `more` are further arguments (borrowed, NULL: none). *ret_changed is how many recipients were changed, also when it
 * fails on the way. */
enum err queue_change_all(struct admin_client *client, const char *command, const json_t *selection, const json_t *more,
	const char *done, uint64_t *ret_changed) MUST_CHECK;

/* "1,204,000" */
struct cli_time_text queue_number(uint64_t number);

/* queue_suspend.c: "site google, stream shop", as its JSON names it. */
struct queue_suspension_text {
	char text[1400];
};
struct queue_suspension_text queue_suspension_name(const json_t *suspension);
bool queue_suspension_is_by_rule(const json_t *suspension);
/* A line for each: "site google, stream shop: for 58 min, until …, by a shaping rule: 421 4.7.28 …" */
void queue_print_suspensions(const json_t *list);

/* queue_act.c */
int queue_cmd_retry(int argc, char **argv);
int queue_cmd_hold(int argc, char **argv);
int queue_cmd_release(int argc, char **argv);
int queue_cmd_remove(int argc, char **argv);
int queue_cmd_bounce(int argc, char **argv);
int queue_cmd_rebind(int argc, char **argv);
/* queue_suspend.c */
int queue_cmd_suspend(int argc, char **argv);
int queue_cmd_resume(int argc, char **argv);
int queue_cmd_suspended(int argc, char **argv);
/* queue_summary.c */
int queue_cmd_summary(int argc, char **argv);
/* queue_watch.c */
int queue_cmd_watch(int argc, char **argv);

#endif
