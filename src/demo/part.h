/*
 * One program of the demo: started as a child, asked until it is ready, stopped, started again.
 *
 * Owned by the loop it was made for (the main thread's).
 */
#ifndef DEMO_PART_H
#define DEMO_PART_H

#include "base/arena.h"
#include "base/err.h"
#include "demo/layout.h"
#include "io/fetch.h"
#include "io/loop.h"
#include "io/process.h"

#include <stdbool.h>

#define PART_ARGUMENTS_MAX 12
/* How long a part may take to end by itself. */
#define PART_STOP_MS 3000

enum part_state {
	PART_STOPPED,  /* Never started. */
	PART_STARTING, /* Runs, and has not said that it is ready. */
	PART_READY,
	PART_STOPPING, /* Told to end. */
	PART_ENDED,
};

struct part;
/* Called on the loop when a part has become PART_READY or PART_ENDED. */
typedef void part_changed_fn(void *context, struct part *part);

struct part {
	struct loop *loop;
	struct fetcher *fetcher;
	part_changed_fn *changed;
	void *context;
	enum part_kind kind;
	enum part_state state;
	bool was_told; /* It ended because we told it to. */
	int status;    /* How it ended: exit code, or -signal. */
	struct process *process;
	struct arena arena; /* Of the texts below. */
	const char *arguments[PART_ARGUMENTS_MAX + 1];
	size_t argument_count;
	const char *log_path;
	const char *ready_url;
	struct timer timer; /* The next question, or the end of patience. */
	struct fetch *question;
};

struct part_options {
	struct loop *loop;
	struct fetcher *fetcher;
	part_changed_fn *changed;
	void *context;
	enum part_kind kind;
	const char *program;  /* argv[0]; copied, as all texts. */
	const char *log_path; /* Its output. */
	uint16_t ready_port;  /* Where layout_ready_path is asked. */
};

/* Makes a part that is not started. */
void part_init(struct part *part, const struct part_options *options);
/* Kills what still runs. Callbacks stay away. */
void part_deinit(struct part *part);
/* Adds an argument; to be done before part_start. */
void part_argument(struct part *part, const char *fmt, ...) PRINTF(2, 3);

/* Starts it (again). It must not run. Returns 0 or ERR_IO. */
MUST_USE int part_start(struct part *part, struct err *err);
/* SIGTERM, and SIGKILL after PART_STOP_MS; nothing if it does not run. */
void part_stop(struct part *part);
/* SIGKILL at once. */
void part_kill(struct part *part);
bool part_is_running(const struct part *part);

/* "exit code 1", "killed by SIGKILL": how it ended. */
void part_describe_end(const struct part *part, struct buf *out);
/* Appends the last lines of its log, each indented. */
void part_log_tail(const struct part *part, struct buf *out);

#endif
