/*
 * What the two text formats share: character classes, quoted strings, numbers, and failing with the
 * place. A body ends with a NUL, so that scans need no bound.
 */
#ifndef EXPFMT_SCAN_H
#define EXPFMT_SCAN_H

#include "expfmt/expfmt.h"

/* Classes of bytes, as bits of scan_class[]. */
#define SCAN_METRIC_START 0x01U /* [a-zA-Z_:] */
#define SCAN_METRIC 0x02U       /* [a-zA-Z0-9_:] */
#define SCAN_LABEL_START 0x04U  /* [a-zA-Z_] */
#define SCAN_LABEL 0x08U        /* [a-zA-Z0-9_] */
#define SCAN_BLANK 0x10U        /* space, tab */
#define SCAN_QUOTE_STOP 0x20U   /* " \ newline NUL */
#define SCAN_TOKEN_END 0x40U    /* space newline NUL: what ends an OpenMetrics number */
#define SCAN_VALUE_END 0x80U    /* space tab newline NUL {: what ends a number in text format */

extern const uint8_t scan_class[256];

static inline bool scan_is(char byte, unsigned class) {
	return (scan_class[(uint8_t)byte] & class) != 0;
}

static inline const char *scan_while(const char *at, unsigned class) {
	while (scan_is(*at, class)) {
		at++;
	}
	return at;
}

/* How a quoted string may go on; the two formats and their places differ. */
#define SCAN_NEWLINE_ALLOWED 1U /* Bare newlines are part of it. */
#define SCAN_NUL_ALLOWED 2U     /* So are NULs, but not at 'end'. */

/*
 * The byte after the string whose opening quote is at 'at', or NULL when it does not end well.
 * '*is_ascii' is cleared when a byte outside ASCII was seen.
 */
const char *scan_quoted(const char *at, const char *end, unsigned flags, bool *is_ascii);

/*
 * Reads the number that begins at 'at' and ends before a byte of class 'stop'. Returns its end, or
 * NULL when it is no number or out of range.
 */
const char *scan_number(const char *at, unsigned stop, double *out);

/* A lexer's step over a byte in a state where NULs do not count: to 'at' + 1 and on past NULs. */
static inline const char *scan_step(const char *at, const char *end) {
	at++;
	while (*at == '\0' && at < end) {
		at++;
	}
	return at;
}

/* ERR_INVAL: "line N: WHAT, got ... while reading ...", for the place 'at' of the current entry. */
int scan_fail(const struct exposition *reader, const char *at, struct err *err, const char *what);

/* The type that a TYPE line names; 'openmetrics' decides which are known. False if unknown. */
bool scan_metric_type(struct str text, bool openmetrics, enum metric_type *out);

/* The two readers. */
int text_next(struct exposition *reader, struct err *err);
int openmetrics_next(struct exposition *reader, struct err *err);

/*
 * Compares the body with the hint. Returns the entry it is, leaving reader->next behind what was
 * compared; or EXPOSITION_END when it does not hold.
 */
enum exposition_entry scan_hint(struct exposition *reader);

#endif
