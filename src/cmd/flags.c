#include "cmd/flags.h"

#include "base/check.h"
#include "base/str.h"
#include "promql/duration.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELP_COLUMN 36
#define HELP_WIDTH 96

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit units[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "KB", UINT64_C(1) << 10 },
	{ "KiB", UINT64_C(1) << 10 },
	{ "MB", UINT64_C(1) << 20 },
	{ "MiB", UINT64_C(1) << 20 },
	{ "GB", UINT64_C(1) << 30 },
	{ "GiB", UINT64_C(1) << 30 },
	{ "TB", UINT64_C(1) << 40 },
	{ "TiB", UINT64_C(1) << 40 },
};

static int parse_bytes(struct str text, uint64_t *out, struct err *err) {
	size_t digits = 0;
	while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
		digits++;
	}
	uint64_t number = 0;
	struct str unit = str_from(text, digits);
	if (str_to_u64(str_first(text, digits), &number)) {
		for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
			if (str_equal(unit, str_of(units[i].name)) &&
				!__builtin_mul_overflow(number, units[i].factor, out)) {
				return 0;
			}
		}
	}
	return err_set(err, ERR_INVAL, "\"%.*s\" is not a size, write one like 512, 64KB or 10GB",
		STR_ARG(text));
}

static int set_value(const struct flag *flag, const char *text, void *config, struct err *err) {
	void *member = (char *)config + flag->offset;
	struct str value = str_of(text);
	struct flag_list *list = member;

	switch (flag->kind) {
	case FLAG_TEXT:
		*(const char **)member = text;
		return 0;
	case FLAG_LIST:
		if (list->count == FLAG_LIST_MAX) {
			return err_set(err, ERR_LIMIT, "given more than %d times", FLAG_LIST_MAX);
		}
		list->items[list->count++] = text;
		return 0;
	case FLAG_BOOL:
		if (!str_equal(value, STR("true")) && !str_equal(value, STR("false"))) {
			return err_set(err, ERR_INVAL, "\"%s\" is neither true nor false", text);
		}
		*(bool *)member = value.ptr[0] == 't';
		return 0;
	case FLAG_INT:
		if (!str_to_i64(value, member)) {
			return err_set(err, ERR_INVAL, "\"%s\" is not a whole number", text);
		}
		return 0;
	case FLAG_BYTES:
		return parse_bytes(value, member, err);
	case FLAG_DURATION:
		return duration_parse(value, member, err);
	}
	CHECK(false);
}

static void set_defaults(const struct command *command, void *config) {
	for (size_t i = 0; i < command->flag_count; i++) {
		const struct flag *flag = &command->flags[i];
		struct err err = { 0 };
		if (flag->default_text && flag->kind != FLAG_LIST) {
			CHECK(set_value(flag, flag->default_text, config, &err) == 0);
		}
	}
}

/* A repeated flag's default holds only where none was given. */
static void set_list_defaults(const struct command *command, void *config) {
	for (size_t i = 0; i < command->flag_count; i++) {
		const struct flag *flag = &command->flags[i];
		struct flag_list *list = (void *)((char *)config + flag->offset);
		if (flag->kind == FLAG_LIST && flag->default_text && list->count == 0) {
			list->items[list->count++] = flag->default_text;
		}
	}
}

static const struct flag *find_flag(const struct command *command, struct str name) {
	for (size_t i = 0; i < command->flag_count; i++) {
		if (str_equal(name, str_of(command->flags[i].name))) {
			return &command->flags[i];
		}
	}
	return NULL;
}

/* Bytes that two names share at their beginning and end: enough to find a slip of the fingers. */
static size_t likeness(struct str a, struct str b) {
	size_t shorter = a.len < b.len ? a.len : b.len;
	size_t head = 0;
	size_t tail = 0;
	while (head < shorter && a.ptr[head] == b.ptr[head]) {
		head++;
	}
	while (tail < shorter - head && a.ptr[a.len - 1 - tail] == b.ptr[b.len - 1 - tail]) {
		tail++;
	}
	return head + tail;
}

static int unknown_flag(const struct command *command, struct str name, struct err *err) {
	const struct flag *best = NULL;
	size_t best_likeness = 2;
	for (size_t i = 0; i < command->flag_count; i++) {
		size_t here = likeness(name, str_of(command->flags[i].name));
		if (here > best_likeness) {
			best = &command->flags[i];
			best_likeness = here;
		}
	}
	if (best) {
		return err_set(err, ERR_INVAL, "unknown flag --%.*s, did you mean --%s?",
			STR_ARG(name), best->name);
	}
	return err_set(err, ERR_INVAL, "unknown flag --%.*s, see atoll %s --help", STR_ARG(name),
		command->name);
}

/* Handles the flag at argv[at]; returns how many arguments it took, or a negative code. */
static int take_flag(const struct command *command, int argc, char **argv, int at, void *config,
	struct err *err) {
	struct str rest = str_of(argv[at] + 2);
	size_t equals = str_find(rest, '=');
	bool has_value = equals != SIZE_MAX;
	struct str name = has_value ? str_first(rest, equals) : rest;
	const struct flag *flag = find_flag(command, name);
	const char *text = has_value ? argv[at] + 2 + equals + 1 : "true";
	int taken = 1;

	if (!flag && !has_value && str_starts(name, STR("no-"))) {
		flag = find_flag(command, str_from(name, 3));
		text = "false";
		if (flag && flag->kind != FLAG_BOOL) {
			flag = NULL;
		}
	}
	if (!flag) {
		return unknown_flag(command, name, err);
	}
	if (!has_value && flag->kind != FLAG_BOOL) {
		if (at + 1 >= argc) {
			return err_set(err, ERR_INVAL, "--%s needs a value: --%s=%s", flag->name,
				flag->name, flag->value_name);
		}
		text = argv[at + 1];
		taken = 2;
	}
	int rc = set_value(flag, text, config, err);
	return rc < 0 ? err_wrap(err, rc, "--%s", flag->name) : taken;
}

/* As take_flag, of "-o VALUE" or "-o=VALUE". */
static int take_letter(const struct command *command, int argc, char **argv, int at, void *config,
	struct err *err) {
	const struct flag *flag = NULL;
	char letter = argv[at][1];
	for (size_t i = 0; i < command->flag_count; i++) {
		flag = command->flags[i].letter == letter ? &command->flags[i] : flag;
	}
	bool has_value = argv[at][2] == '=';
	if (!flag || (argv[at][2] != '\0' && !has_value)) {
		return err_set(err, ERR_INVAL, "unknown flag %s, see atoll %s --help", argv[at],
			command->name);
	}
	if (!has_value && at + 1 >= argc) {
		return err_set(err, ERR_INVAL, "-%c needs a value: -%c %s", letter, letter,
			flag->value_name);
	}
	int rc = set_value(flag, has_value ? argv[at] + 3 : argv[at + 1], config, err);
	return rc < 0 ? err_wrap(err, rc, "--%s", flag->name) : has_value ? 1 : 2;
}

static bool has_letters(const struct command *command) {
	for (size_t i = 0; i < command->flag_count; i++) {
		if (command->flags[i].letter) {
			return true;
		}
	}
	return false;
}

int output_is_json(const char *output, bool *is_json, struct err *err) {
	*is_json = strcmp(output, "json") == 0;
	if (!*is_json && strcmp(output, "table") != 0) {
		return err_set(
			err, ERR_INVAL, "--output: \"%s\" is neither table nor json", output);
	}
	return 0;
}

int flags_parse(const struct command *command, int argc, char **argv, void *config,
	size_t *arg_count, struct err *err) {
	size_t kept = 0;
	bool only_args = false;

	set_defaults(command, config);
	for (int i = 0; i < argc;) {
		struct str arg = str_of(argv[i]);
		if (!only_args && (str_equal(arg, STR("--help")) || str_equal(arg, STR("-h")))) {
			return 1;
		}
		if (!only_args && str_equal(arg, STR("--"))) {
			only_args = true;
			i++;
		} else if (!only_args && str_starts(arg, STR("--"))) {
			int taken = take_flag(command, argc, argv, i, config, err);
			if (taken < 0) {
				return taken;
			}
			i += taken;
		} else if (!only_args && has_letters(command) && argv[i][0] == '-' && argv[i][1]) {
			int taken = take_letter(command, argc, argv, i, config, err);
			if (taken < 0) {
				return taken;
			}
			i += taken;
		} else if (!command->arguments) {
			return err_set(err, ERR_INVAL,
				"unexpected argument \"%s\", see atoll %s --help", argv[i],
				command->name);
		} else {
			argv[kept++] = argv[i++];
		}
	}
	set_list_defaults(command, config);
	*arg_count = kept;
	return 0;
}

/* Appends 'text' broken at spaces, each line after the first indented by 'indent'. */
static void wrap(const char *text, size_t indent, struct buf *out) {
	size_t column = indent;
	struct str rest = str_of(text);
	while (rest.ptr && rest.len > 0) {
		struct str word = str_cut(&rest, ' ');
		if (column > indent && column + 1 + word.len > HELP_WIDTH) {
			buf_printf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			buf_add_byte(out, ' ');
			column++;
		}
		buf_add_str(out, word);
		column += word.len;
	}
	buf_add_byte(out, '\n');
}

static void help_flag(const struct flag *flag, struct buf *out) {
	size_t start = out->len;
	if (flag->kind == FLAG_BOOL) {
		buf_printf(out, "  --[no-]%s", flag->name);
	} else {
		if (flag->letter) {
			buf_printf(
				out, "  -%c, --%s=%s", flag->letter, flag->name, flag->value_name);
		} else {
			buf_printf(out, "  --%s=%s", flag->name, flag->value_name);
		}
	}
	size_t width = out->len - start;
	if (width + 2 > HELP_COLUMN) {
		buf_printf(out, "\n%*s", HELP_COLUMN, "");
	} else {
		buf_printf(out, "%*s", (int)(HELP_COLUMN - width), "");
	}
	AUTO(buf_deinit) struct buf text = { 0 };
	buf_add_text(&text, flag->help);
	if (flag->kind != FLAG_BOOL && flag->default_text) {
		buf_printf(&text, " Default: %s.", flag->default_text);
	}
	wrap(buf_text(&text), HELP_COLUMN, out);
}

int command_fail(const struct command *command, const struct err *err) {
	(void)fflush(stdout);
	(void)fprintf(stderr, "atoll %s: %s\n", command->name, err->text);
	return err->code == ERR_INVAL ? EXIT_USAGE : EXIT_FAILURE;
}

void flags_help(const struct command *command, struct buf *out) {
	buf_printf(out, "Usage: atoll %s [flags]%s%s\n\n", command->name,
		command->arguments ? " " : "", command->arguments ? command->arguments : "");
	wrap(command->description ? command->description : command->summary, 0, out);
	buf_add_text(out, "\nFlags:\n");
	for (size_t i = 0; i < command->flag_count; i++) {
		help_flag(&command->flags[i], out);
	}
	buf_printf(out, "  %-*s%s\n", HELP_COLUMN - 2, "--help", "Print this and exit.");
}

/* Appends text for man(7): backslashes, dashes and leading dots escaped. */
static void man_text(const char *text, struct buf *out) {
	if (text[0] == '.' || text[0] == '\'') {
		buf_add_text(out, "\\&");
	}
	for (; *text; text++) {
		if (*text == '\\' || *text == '-') {
			buf_add_byte(out, '\\');
		}
		buf_add_byte(out, *text);
	}
}

void flags_man(const struct command *command, struct buf *out) {
	AUTO(buf_deinit) struct buf page = { 0 };
	buf_printf(&page, "atoll-%s", command->name);
	for (size_t i = 0; i < page.len; i++) {
		page.ptr[i] = page.ptr[i] == ' ' ? '-' : page.ptr[i];
	}
	buf_printf(out, ".TH \"%s\" 1\n.SH NAME\n", buf_text(&page));
	man_text(buf_text(&page), out);
	buf_add_text(out, " \\- ");
	man_text(command->summary, out);
	buf_printf(out, "\n.SH SYNOPSIS\n.B atoll %s\n[flags] %s\n.SH DESCRIPTION\n", command->name,
		command->arguments ? command->arguments : "");
	man_text(command->description ? command->description : command->summary, out);
	buf_add_text(out, "\n.SH OPTIONS\n");
	for (size_t i = 0; i < command->flag_count; i++) {
		const struct flag *flag = &command->flags[i];
		buf_add_text(out, ".TP\n.B ");
		if (flag->letter) {
			buf_printf(out, "\\-%c, ", flag->letter);
		}
		man_text(flag->kind == FLAG_BOOL ? "--[no-]" : "--", out);
		man_text(flag->name, out);
		if (flag->value_name) {
			buf_printf(out, "=\\fI%s\\fR", flag->value_name);
		}
		buf_add_byte(out, '\n');
		man_text(flag->help, out);
		if (flag->kind != FLAG_BOOL && flag->default_text) {
			buf_add_text(out, " Default: ");
			man_text(flag->default_text, out);
			buf_add_byte(out, '.');
		}
		buf_add_byte(out, '\n');
	}
}

void flag_format(const struct flag *flag, const void *config, struct buf *out) {
	const void *member = (const char *)config + flag->offset;
	const struct flag_list *list = member;

	switch (flag->kind) {
	case FLAG_TEXT:
		buf_add_text(out, *(const char *const *)member ? *(const char *const *)member : "");
		return;
	case FLAG_LIST:
		for (size_t i = 0; i < list->count; i++) {
			buf_printf(out, "%s%s", i > 0 ? "," : "", list->items[i]);
		}
		return;
	case FLAG_BOOL:
		buf_add_text(out, *(const bool *)member ? "true" : "false");
		return;
	case FLAG_INT:
		buf_printf(out, "%" PRId64, *(const int64_t *)member);
		return;
	case FLAG_BYTES:
		buf_printf(out, "%" PRIu64, *(const uint64_t *)member);
		return;
	case FLAG_DURATION:
		duration_format(*(const int64_t *)member, out);
		return;
	}
}
