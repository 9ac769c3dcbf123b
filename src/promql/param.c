#include "promql/param.h"

#include "promql/number.h"

#include <float.h>

int param_eval(struct eval *ev, struct expr *expr, const struct grid *grid, struct param *out) {
	double *values;
	int rc = eval_scalar(ev, expr, grid, &values);

	if (rc < 0) {
		return rc;
	}
	*out = (struct param){ .values = values, .min = DBL_MAX, .max = -DBL_MAX };
	for (size_t i = 0; i < grid->count; i++) {
		out->max = number_max(out->max, values[i]);
		out->min = number_min(out->min, values[i]);
		out->has_nan |= isnan(values[i]);
	}
	return 0;
}
