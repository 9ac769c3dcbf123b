/*
 * The supervisor's insides: demo.c starts and ends, operation.c changes a running demo, status.c
 * asks the hub and shows what it says.
 */
#ifndef DEMO_DEMO_INTERNAL_H
#define DEMO_DEMO_INTERNAL_H

#include "demo/answers.h"
#include "demo/control.h"
#include "demo/demo.h"
#include "demo/group.h"
#include "demo/state_folder.h"

/* The hub and the clusters. */
#define DEMO_GROUPS_MAX (1 + LAYOUT_CLUSTERS_MAX)

enum demo_phase {
	DEMO_STARTING, /* Not every cluster has answered yet. */
	DEMO_RUNNING,
	DEMO_STOPPING,
};

enum operation_kind {
	OPERATION_NONE,
	OPERATION_RESTART,
	OPERATION_ADD,
	OPERATION_REMOVE
};

/* The one change under way. */
struct operation {
	enum operation_kind kind;
	struct control_call *call;
	struct group *group;
	struct part *part; /* OPERATION_RESTART: NULL means all. */
	bool is_starting;  /* OPERATION_RESTART: what was to end has ended. */
	int64_t begin_ns;
	int64_t due_ns;
	struct err failure; /* OPERATION_REMOVE that undoes an OPERATION_ADD: why. */
	struct timer timer; /* Says that we are at work, and looks at the deadline. */
};

/* A question to the hub that is asked again and again. */
struct inquiry {
	struct timer timer;
	struct fetch *fetch;
	struct buf url;
	struct err last_err; /* Why the last one failed; code 0: it did not. */
};

struct demo {
	const struct demo_options *options;
	struct state_folder folder;
	struct loop *loop;
	struct fetcher *fetcher;
	struct group_context shared;
	struct group *groups[DEMO_GROUPS_MAX]; /* The hub first. */
	size_t group_count;
	enum demo_phase phase;
	int64_t begin_ns;
	struct err failure; /* Why it ends; code 0: it was told to. */
	struct timer deadline;
	struct timer advance;
	struct control *control;
	struct operation operation;
	struct inquiry up;       /* How many targets are up, while somebody waits for that. */
	struct inquiry clusters; /* What the status lines show. */
	struct arena status;     /* Of what follows. */
	struct answer_cluster *answers;
	size_t answer_count;
	unsigned lines_shown; /* Status lines on the terminal that may be drawn over. */
};

/* Something changed: soon, from the loop, goes on with whatever waited for it. */
void demo_advance(struct demo *demo);
/* Begins to end, for 'failure' (NULL: told to). */
void demo_stop(struct demo *demo, const struct err *failure);
/* Prints a line on stdout, below the status lines. */
void demo_say(struct demo *demo, const char *fmt, ...) PRINTF(2, 3);
/* The hub or a cluster, or NULL. */
struct group *demo_find_group(struct demo *demo, struct str name);
/* Adds a group to the demo, or takes it out (and frees it). */
void demo_add_group(struct demo *demo, struct group *group);
void demo_remove_group(struct demo *demo, struct group *group);
/* Checks that the ports of a cluster's slot are free. Returns 0 or ERR_IO that names the port. */
MUST_USE int demo_check_ports(struct demo *demo, size_t slot, struct err *err);
/* Appends what a group still waits for, a line each, with the last lines of its parts' logs. */
void demo_describe_wait(const struct demo *demo, const struct group *group, struct buf *out);
/* Whether the group's parts are ready, and the hub has its answer. */
bool demo_group_is_up(const struct group *group);

/* A command of the control socket. 'demo' is a struct demo. */
void operation_run(void *demo, struct control_call *call, struct str line);
/* Goes on with the operation under way. */
void operation_advance(struct demo *demo);
/* A part ended by itself. Returns whether an operation takes care of it. */
bool operation_takes_end(struct demo *demo, const struct part *part);
/* The demo ends: whoever waits for an operation is told. */
void operation_cancel(struct demo *demo);
/* Prepares, and ends, the questions to the hub. */
void status_init(struct demo *demo);
void status_deinit(struct demo *demo);
/* Asks how many targets are up until nobody waits for it any more. */
void status_follow_up(struct demo *demo);
/* Asks for the clusters' state now and then; on a terminal shows it. */
void status_follow_clusters(struct demo *demo);
/* One line for each cluster, as of the last answer. */
void status_format(struct demo *demo, struct buf *out);

#endif
