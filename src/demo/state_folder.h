/*
 * The folder that holds a demo's state: made, locked while the demo runs, removed by --clean.
 *
 * A file says that the folder is a demo's; without it nothing is ever removed.
 */
#ifndef DEMO_STATE_FOLDER_H
#define DEMO_STATE_FOLDER_H

#include "base/buf.h"
#include "base/err.h"

struct state_folder {
	struct buf path; /* Absolute. */
	int lock;        /* -1: not held. */
};

/*
 * Makes the folder (0700) if need be and locks it. Returns 0, ERR_INVAL (it holds something else;
 * its path is too long for a control socket) or ERR_IO (another demo runs on it; the system's
 * reason). state_folder_close in either case.
 */
MUST_USE int state_folder_open(const char *path, struct state_folder *out, struct err *err);
/* Unlocks. */
void state_folder_close(struct state_folder *folder);

/*
 * Removes a demo's folder. Returns 0 (also when there is none), ERR_INVAL (not a demo's) or ERR_IO
 * (a demo runs on it).
 */
MUST_USE int state_folder_remove(const char *path, struct err *err);

/* The control socket of the folder 'path', in 'out' (emptied first). */
void state_folder_socket(const char *path, struct buf *out);

#endif
