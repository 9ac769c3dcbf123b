/*
 * Upper and lower case of Unicode text, letter by letter (simple mappings, as Go's strings.ToLower
 * and strings.ToUpper).
 */
#ifndef LABEL_LETTER_CASE_H
#define LABEL_LETTER_CASE_H

#include "base/buf.h"
#include "base/str.h"

/* Appends 'text' with each letter in lower case; bytes that are not UTF-8 become U+FFFD, as in Go.
 */
void letters_lower(struct str text, struct buf *out);
/* Appends 'text' with each letter in upper case. */
void letters_upper(struct str text, struct buf *out);

#endif
