/*
 * Assertions on our own code, never on outside input: a failed one ends the process with the
 * expression, the place, the thread's name and a backtrace on stderr.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include "base/compiler.h"

/* What a failed CHECK calls. */
NORETURN void check_failed(const char *file, int line, const char *what);

/* Always on. Cheap enough for any path. */
#define CHECK(cond) ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond))

/* For costly checks; on where ATOLL_DEBUG is defined (all test builds). */
#ifdef ATOLL_DEBUG
#define DCHECK(cond) CHECK(cond)
#else
#define DCHECK(cond) ((void)sizeof(cond))
#endif

#endif
