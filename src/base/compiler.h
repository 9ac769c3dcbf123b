/*
 * Names for compiler features that C17 has no words for.
 */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#define PRINTF(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))
#define MUST_USE __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn, cold))
#define UNUSED __attribute__((unused))

/* Runs 'function' (taking a pointer to the variable) when the variable leaves its scope. */
#define AUTO(function) __attribute__((cleanup(function)))

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The struct that holds 'ptr' as its member 'member'. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
