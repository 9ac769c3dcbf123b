/*
 * Finds the command that argv names and runs it. Wiring is in the commands' own files.
 */
#include "cmd/commands.h"

#include "base/check.h"
#include "base/str.h"
#include "base/thread.h"
#include "io/tls.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Freed blocks from here on go back to the system, and so does as much at the end of a heap. */
#define KEPT_BYTES_MAX (1 << 20)
/* Heaps that threads share; each keeps what lies between things that stay. */
#define HEAPS_MIN 2
#define HEAPS_MAX 8

/*
 * What a large query took must not stay with the process: left to itself, glibc learns from each
 * large block that is freed to keep up to 64 MiB for every thread, in a heap of its own.
 */
static void limit_heaps(void) {
#ifdef __GLIBC__
	(void)mallopt(M_MMAP_THRESHOLD, KEPT_BYTES_MAX);
	(void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES_MAX);
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	int heaps = processors < HEAPS_MIN   ? HEAPS_MIN
		    : processors > HEAPS_MAX ? HEAPS_MAX
					     : (int)processors;
	(void)mallopt(M_ARENA_MAX, heaps);
#endif
}

static void print(FILE *to, struct buf *text) {
	(void)fwrite(text->ptr, 1, text->len, to);
	buf_deinit(text);
}

static void overview(struct buf *out) {
	size_t count = 0;
	const struct command *const *commands = commands_get(&count);
	buf_add_text(out, "atoll: multi-cluster monitoring that leaves the data where it is\n\n"
			  "Usage: atoll COMMAND [flags]\n\nCommands:\n");
	for (size_t i = 0; i < count; i++) {
		buf_printf(out, "  %-20s%s\n", commands[i]->name, commands[i]->summary);
	}
	buf_add_text(out, "\nOthers:\n"
			  "  COMMAND --help      what a command takes\n"
			  "  man COMMAND         the same as a man page, for man -l -\n"
			  "  --version           version and licence\n");
}

/* The command that the first one or two words name; 'words' is how many it took. */
static const struct command *find(int argc, char **argv, int *words) {
	size_t count = 0;
	const struct command *const *commands = commands_get(&count);
	for (*words = argc < 2 ? argc : 2; *words > 0; (*words)--) {
		AUTO(buf_deinit) struct buf name = { 0 };
		for (int i = 0; i < *words; i++) {
			buf_printf(&name, "%s%s", i > 0 ? " " : "", argv[i]);
		}
		for (size_t i = 0; i < count; i++) {
			if (str_equal(buf_str(&name), str_of(commands[i]->name))) {
				return commands[i];
			}
		}
	}
	return NULL;
}

/* Lists "trust init", "trust sign", ... when only "trust" was given. Returns whether there are any.
 */
static bool list_group(const char *word, struct buf *out) {
	size_t count = 0;
	bool found = false;
	const struct command *const *commands = commands_get(&count);
	AUTO(buf_deinit) struct buf prefix = { 0 };
	buf_printf(&prefix, "%s ", word);
	for (size_t i = 0; i < count; i++) {
		if (str_starts(str_of(commands[i]->name), buf_str(&prefix))) {
			buf_printf(
				out, "  atoll %-20s%s\n", commands[i]->name, commands[i]->summary);
			found = true;
		}
	}
	return found;
}

static int unknown(const char *word) {
	struct buf text = { 0 };
	if (list_group(word, &text)) {
		(void)fprintf(stderr, "atoll %s: which one?\n", word);
	} else {
		buf_printf(&text, "atoll: no command \"%s\"; atoll --help lists them\n", word);
	}
	print(stderr, &text);
	return EXIT_USAGE;
}

static int run(const struct command *command, int argc, char **argv) {
	void *config = calloc(1, command->config_size > 0 ? command->config_size : 1);
	CHECK(config);
	size_t arg_count = 0;
	struct err err = { 0 };
	struct buf text = { 0 };
	int exit_code = EXIT_USAGE;

	int rc = flags_parse(command, argc, argv, config, &arg_count, &err);
	if (rc == 1) {
		flags_help(command, &text);
		print(stdout, &text);
		exit_code = EXIT_SUCCESS;
	} else if (rc < 0) {
		(void)fprintf(stderr, "atoll %s: %s\n", command->name, err.text);
	} else {
		argv[arg_count] = NULL;
		exit_code = command->run(config, argv, arg_count);
	}
	free(config);
	return exit_code;
}

static int special(int argc, char **argv) {
	struct buf text = { 0 };
	if (strcmp(argv[1], "--version") == 0) {
		(void)printf("atoll %s\nApache License 2.0\n", ATOLL_VERSION);
		return EXIT_SUCCESS;
	}
	if (strcmp(argv[1], "man") == 0 && argc > 2) {
		int words = 0;
		const struct command *command = find(argc - 2, argv + 2, &words);
		if (!command) {
			return unknown(argv[2]);
		}
		flags_man(command, &text);
		print(stdout, &text);
		return EXIT_SUCCESS;
	}
	overview(&text);
	print(stdout, &text);
	return EXIT_SUCCESS;
}

static bool is_special(const char *word) {
	static const char *const words[] = { "--version", "man", "--help", "-h", "help" };
	for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
		if (strcmp(word, words[i]) == 0) {
			return true;
		}
	}
	return false;
}

int main(int argc, char **argv) {
	limit_heaps();
	tls_reuse_memory();
	thread_set_role(THREAD_MAIN, "main");
	if (argc < 2) {
		struct buf text = { 0 };
		overview(&text);
		print(stderr, &text);
		return EXIT_USAGE;
	}
	if (is_special(argv[1])) {
		return special(argc, argv);
	}
	int words = 0;
	const struct command *command = find(argc - 1, argv + 1, &words);
	if (!command) {
		return unknown(argv[1]);
	}
	return run(command, argc - 1 - words, argv + 1 + words);
}
