"""Whether two answers of the HTTP API say the same."""
import json
import math

TOLERANCE = 1e-9


def same_number(ours, theirs, tolerance):
    if ours == theirs:
        return True
    a, b = float(ours), float(theirs)
    if math.isnan(a) or math.isnan(b) or math.isinf(a) or math.isinf(b):
        return (math.isnan(a) and math.isnan(b)) or a == b
    return abs(a - b) <= tolerance * max(abs(a), abs(b))


def points_of(series):
    return series["values"] if "values" in series else [series["value"]]


def series_of(body):
    """How many series an answer has."""
    return len(json.loads(body)["data"]["result"])


def _differing_point(ours, theirs, tolerance):
    if ours == theirs:
        return None
    if len(ours) != len(theirs):
        return f"{len(ours)} points instead of {len(theirs)}"
    for (our_time, our_value), (time, value) in zip(ours, theirs):
        if float(our_time) != float(time):
            return f"a point at {our_time} instead of {time}"
        if not same_number(our_value, value, tolerance):
            return f"{our_value} instead of {value} at {time}"
    return None


def difference(our_body, their_body, ordered=False, tolerance=TOLERANCE):
    """None, or a sentence about the first difference between two answers as bytes."""
    ours, theirs = json.loads(our_body), json.loads(their_body)
    if ours["status"] != "success" or theirs["status"] != "success":
        return f"answers {str(ours)[:300]} instead of {str(theirs)[:300]}"
    ours, theirs = ours["data"], theirs["data"]
    if ours["resultType"] != theirs["resultType"]:
        return f"a {ours['resultType']} instead of a {theirs['resultType']}"
    by_labels = [{json.dumps(series["metric"], sort_keys=True): points_of(series)
                  for series in data["result"]} for data in (ours, theirs)]
    for labels in by_labels[1]:
        if labels not in by_labels[0]:
            return f"no series {labels}; {len(by_labels[0])} instead of {len(by_labels[1])}"
    for labels, points in by_labels[0].items():
        if labels not in by_labels[1]:
            return f"a series too many: {labels}"
        sentence = _differing_point(points, by_labels[1][labels], tolerance)
        if sentence:
            return f"{labels}: {sentence}"
    if ordered and list(by_labels[0]) != list(by_labels[1]):
        return "the same series in another order"
    return None
