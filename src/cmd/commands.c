#include "cmd/commands.h"

static const struct command *const commands[] = {
	NULL,
};

const struct command *const *commands_get(size_t *count) {
	*count = sizeof(commands) / sizeof(commands[0]) - 1;
	return commands;
}
