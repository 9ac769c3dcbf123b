/*
 * Answers that a gateway gives itself instead of the service behind it: Prometheus' shape of
 * errors, and a header that tells them from the service's own.
 */
#ifndef MESH_ANSWER_H
#define MESH_ANSWER_H

#include "http/server.h"

/* Names why, in one word: "denied", "limit", "upstream", "timeout". */
#define ANSWER_HEADER "atoll-gateway-error"

/* Ends the exchange with an error. 'word' is the header's value, 'sentence' for people. */
void answer_error(struct exchange *exchange, int status, const char *word, const char *sentence);

#endif
