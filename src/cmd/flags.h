/*
 * Commands and their flags as tables: parsing, --help, the man page and /api/v1/status/flags are
 * all made from the same rows.
 *
 *   struct gateway_flags { const char *config_file; int64_t drain_ms; bool verbose; };
 *   static const struct flag rows[] = {
 *           FLAG_TEXT_ROW(struct gateway_flags, config_file, "config.file", "FILE", "gateway.yaml",
 *                   "The gateway's exports and limits."),
 *   };
 *   const struct command gateway_command = { .name = "gateway", .summary = ..., .flags = rows,
 *           .flag_count = ARRAY_COUNT(rows), .config_size = sizeof(struct gateway_flags),
 *           .run = run };
 *
 * Values are "--name=value" or "--name value"; booleans are "--name" and "--no-name". Strings in a
 * parsed configuration are argv's own or the table's, so they live as long as the process.
 */
#ifndef CMD_FLAGS_H
#define CMD_FLAGS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How often a flag that may be repeated can be given. */
#define FLAG_LIST_MAX 64

enum flag_kind {
	FLAG_TEXT,  /* const char *; NULL when there is no default */
	FLAG_LIST,  /* struct flag_list; may be repeated */
	FLAG_BOOL,  /* bool */
	FLAG_INT,   /* int64_t */
	FLAG_BYTES, /* uint64_t: 512, 64KB, 10MiB, ... (powers of 1024, as Prometheus has them) */
	FLAG_DURATION, /* int64_t milliseconds: 30s, 2d, 1h30m */
};

struct flag_list {
	const char *items[FLAG_LIST_MAX];
	size_t count;
};

struct flag {
	const char *name; /* Without the dashes. */
	enum flag_kind kind;
	size_t offset;            /* Of the member in the command's configuration. */
	const char *value_name;   /* "FILE"; NULL for booleans. */
	const char *default_text; /* As it would be written; NULL for none. */
	const char *help;
	char letter; /* "-o VALUE", too; 0: none. */
};

#define FLAG_ROW(kind, type, member, name, value, text, help)                                      \
	{ (name), (kind), offsetof(type, member), (value), (text), (help) }
#define FLAG_TEXT_ROW(type, member, ...) FLAG_ROW(FLAG_TEXT, type, member, __VA_ARGS__)
#define FLAG_LIST_ROW(type, member, ...) FLAG_ROW(FLAG_LIST, type, member, __VA_ARGS__)
#define FLAG_BOOL_ROW(type, member, name, help)                                                    \
	FLAG_ROW(FLAG_BOOL, type, member, name, NULL, "false", help)
#define FLAG_INT_ROW(type, member, ...) FLAG_ROW(FLAG_INT, type, member, __VA_ARGS__)
#define FLAG_BYTES_ROW(type, member, ...) FLAG_ROW(FLAG_BYTES, type, member, __VA_ARGS__)
#define FLAG_DURATION_ROW(type, member, ...) FLAG_ROW(FLAG_DURATION, type, member, __VA_ARGS__)

/* -o, --output, of commands that print for people or for programs (output_is_json). */
#define FLAG_OUTPUT_ROW(type, member)                                                              \
	{                                                                                          \
		"output", FLAG_TEXT, offsetof(type, member), "FORMAT", "table",                    \
			"table, for people, or json.", 'o'                                         \
	}

struct command {
	const char *name;        /* "monitor", or two words: "trust init" */
	const char *summary;     /* One line, without a full stop. */
	const char *arguments;   /* "FILE..." after the flags; NULL: none are taken. */
	const char *description; /* Paragraphs for --help and the man page. */
	const struct flag *flags;
	size_t flag_count;
	size_t config_size;
	/* Returns the exit code. 'args' are the positional arguments, NULL-terminated. */
	int (*run)(const void *config, char **args, size_t arg_count);
};

/*
 * Reads argv (without the program's and command's names) into 'config' (zeroed, config_size bytes)
 * over the defaults; positional arguments are moved to the front of argv and counted. Returns 0, 1
 * when --help was asked for, or ERR_INVAL with a sentence that suggests the nearest flag.
 */
MUST_USE int flags_parse(const struct command *command, int argc, char **argv, void *config,
	size_t *arg_count, struct err *err);

/* What --output says. Returns 0 or ERR_INVAL. */
MUST_USE int output_is_json(const char *output, bool *is_json, struct err *err);

/* The exit code of a command that was used wrongly. */
#define EXIT_USAGE 2

/* Says on standard error why the command failed. Returns its exit code: EXIT_USAGE for ERR_INVAL,
 * else EXIT_FAILURE. */
int command_fail(const struct command *command, const struct err *err);

/* Appends the text of --help. */
void flags_help(const struct command *command, struct buf *out);
/* Appends a man page (section 1, man(7) macros). */
void flags_man(const struct command *command, struct buf *out);
/* Appends the value of one flag as text, as status/flags shows it. */
void flag_format(const struct flag *flag, const void *config, struct buf *out);

#endif
