#include "cli/options.h"

#include "config/config_value.h"

#include <string.h>

const char *options_nearest(const char *word, size_t count, const char *const *names)
{
	struct config_nearest nearest;
	config_nearest_init(&nearest, view_from_cstr(word));
	for (size_t i = 0; i < count; i++)
		config_nearest_offer(&nearest, view_from_cstr(names[i]));
	for (size_t i = 0; i < count && nearest.best.len > 0; i++)
		if (view_eq(nearest.best, view_from_cstr(names[i])))
			return names[i];
	return NULL;
}

static const struct option_spec *find_long(const struct usage *usage, struct view name)
{
	for (size_t i = 0; i < usage->option_count; i++)
		if (view_eq(name, view_from_cstr(usage->options[i].name)))
			return &usage->options[i];
	return NULL;
}

static const struct option_spec *find_letter(const struct usage *usage, char letter)
{
	for (size_t i = 0; i < usage->option_count; i++)
		if (usage->options[i].letter != 0 && usage->options[i].letter == letter)
			return &usage->options[i];
	return NULL;
}

static enum err unknown_long(const struct usage *usage, struct view name)
{
	const char *names[32];
	size_t count = 0;
	for (; count < usage->option_count && count < sizeof names / sizeof names[0]; count++)
		names[count] = usage->options[count].name;
	char word[41];
	snprintf(word, sizeof word, "%.*s", VIEW_ARG(name));
	const char *near = options_nearest(word, count, names);
	return near != NULL ? err_set(ERR_SYNTAX, "unknown option --%s, did you mean --%s?", word, near)
			    : err_set(ERR_SYNTAX, "unknown option --%s (see --help)", word);
}

static enum err add_to_list(struct option_list *list, const char *value)
{
	if (list->count >= OPTION_LIST_MAX)
		return err_set(ERR_LIMIT, "more than %u arguments of one kind", OPTION_LIST_MAX);
	list->items[list->count++] = value;
	return ERR_OK;
}

static enum err store_value(const struct option_spec *spec, const char *value)
{
	if (spec->ret_list != NULL)
		return add_to_list(spec->ret_list, value);
	*spec->ret_value = value;
	return ERR_OK;
}

/* --name, --name=VALUE, --name VALUE. *at moves on when the next word was the value. */
static enum err read_long(const struct usage *usage, int argc, char *const *argv, int *at)
{
	const char *word = argv[*at] + 2;
	struct view whole = view_from_cstr(word);
	struct view name = view_sub(whole, 0, view_find(whole, '='));
	const struct option_spec *spec = find_long(usage, name);
	if (spec == NULL)
		return unknown_long(usage, name);
	bool has_value = name.len < whole.len;
	if (spec->value_name == NULL) {
		if (has_value)
			return err_set(ERR_SYNTAX, "--%s takes no value", spec->name);
		*spec->ret_flag = true;
		return ERR_OK;
	}
	if (has_value)
		return store_value(spec, word + name.len + 1);
	if (*at + 1 >= argc)
		return err_set(ERR_SYNTAX, "--%s needs a value: --%s %s", spec->name, spec->name, spec->value_name);
	*at += 1;
	return store_value(spec, argv[*at]);
}

/* -x, -xVALUE, -x VALUE, -xyz of flags. */
static enum err read_letters(const struct usage *usage, int argc, char *const *argv, int *at)
{
	const char *letters = argv[*at] + 1;
	for (; *letters != '\0'; letters++) {
		const struct option_spec *spec = find_letter(usage, *letters);
		if (spec == NULL)
			return err_set(ERR_SYNTAX, "unknown option -%c (see --help)",
				ascii_is_printable((uint8_t)*letters) ? *letters : '?');
		if (spec->value_name == NULL) {
			*spec->ret_flag = true;
			continue;
		}
		if (letters[1] != '\0')
			return store_value(spec, letters + 1);
		if (*at + 1 >= argc)
			return err_set(ERR_SYNTAX, "-%c needs a value: -%c %s", *letters, *letters, spec->value_name);
		*at += 1;
		return store_value(spec, argv[*at]);
	}
	return ERR_OK;
}

enum err options_read(
	const struct usage *usage, int argc, char *const *argv, struct option_list *ret_arguments, bool *ret_help)
{
	bool only_arguments = false;
	for (int at = 1; at < argc; at++) {
		const char *word = argv[at];
		enum err err;
		if (only_arguments || word[0] != '-' || word[1] == '\0') {
			err = add_to_list(ret_arguments, word);
		} else if (strcmp(word, "--") == 0) {
			only_arguments = true;
			err = ERR_OK;
		} else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
			*ret_help = true;
			return ERR_OK;
		} else if (word[1] == '-') {
			err = read_long(usage, argc, argv, &at);
		} else {
			err = read_letters(usage, argc, argv, &at);
		}
		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}

static void print_synopsis(const char *synopsis, FILE *out)
{
	struct view rest = view_from_cstr(synopsis);
	struct view line;
	const char *label = "Usage: ";
	while (view_split(&rest, '\n', &line)) {
		fprintf(out, "%s%.*s\n", label, VIEW_ARG(line));
		label = "       ";
	}
}

void options_help(const struct usage *usage, FILE *out)
{
	print_synopsis(usage->synopsis, out);
	fprintf(out, "\n%s\nOptions:\n", usage->text);
	for (size_t i = 0; i < usage->option_count; i++) {
		const struct option_spec *spec = &usage->options[i];
		char left[64];
		snprintf(left, sizeof left, "--%s%s%s", spec->name, spec->value_name != NULL ? " " : "",
			spec->value_name != NULL ? spec->value_name : "");
		if (spec->letter != 0)
			fprintf(out, "  -%c, %-24s  %s\n", spec->letter, left, spec->help);
		else
			fprintf(out, "      %-24s  %s\n", left, spec->help);
	}
	fprintf(out, "  -h, %-24s  %s\n", "--help", "show this");
}
