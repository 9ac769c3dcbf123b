/*
 * Talking to a running demo over the socket in its state folder (mode 0600: its owner only).
 *
 * The client sends one line, "add-cluster lisbon". The answer is lines: those that begin with ' '
 * are for the terminal (an empty one only says that the demo is still at work), and the last begins
 * with '+' (done) or '!' (why not). Then the connection ends.
 */
#ifndef DEMO_CONTROL_H
#define DEMO_CONTROL_H

#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"

struct control;
/* A command that came in, until it is answered. */
struct control_call;

/*
 * Called on the loop with a command's line. It is answered by control_end, at once or later.
 */
typedef void control_fn(void *context, struct control_call *call, struct str line);

/* Listens in the state folder. Returns 0 or ERR_IO. */
MUST_USE int control_open(struct loop *loop, const char *folder, control_fn *run, void *context,
	struct control **out, struct err *err);
/* Stops listening. Calls that were not answered stay valid, their clients learn nothing more. */
void control_close(struct control *control);

/* Tells the client something; it may be gone, which does not matter. */
void control_say(struct control_call *call, struct str text);
/* Ends a call: done, or failed for 'failure'. */
void control_end(struct control_call *call, const struct err *failure);

/*
 * The client: sends 'line' to the demo that runs on 'folder', prints what it says to stdout.
 * Returns 0, ERR_CLOSED (no demo runs there, or it ended meanwhile) or what the demo answered.
 */
MUST_USE int control_send(const char *folder, struct str line, struct err *err);

#endif
