"""What ./dev bench promql asks: questions of real dashboards and alerts, over promql_set's estate."""
import re

START, HOUR = 1767225600, 3600  # The set's first second; its samples fill six hours.
END = START + 6 * HOUR

BUCKETS = "http_request_duration_seconds_bucket"

QUERIES = {
    # Requests, errors, durations.
    "requests_by_job": "sum by (job) (rate(http_requests_total[5m]))",
    "requests_by_code_1h": "sum by (job, code) (increase(http_requests_total[1h]))",
    "error_ratio": 'sum by (job) (rate(http_requests_total{code=~"5.."}[5m]))'
                   " / sum by (job) (rate(http_requests_total[5m]))",
    "get_share": 'sum by (job) (rate(http_requests_total{method="GET"}[5m]))'
                 ' / (sum by (job) (rate(http_requests_total{method="GET"}[5m]))'
                 ' + sum by (job) (rate(http_requests_total{method="POST"}[5m])))',
    "burn_rate": 'sum by (job) (rate(http_requests_total{code="500"}[1h]))'
                 " / sum by (job) (rate(http_requests_total[1h])) > 0.2"
                 ' and sum by (job) (rate(http_requests_total{code="500"}[5m]))'
                 " / sum by (job) (rate(http_requests_total[5m])) > 0.2",
    "requests_by_regex": 'sum by (handler) (rate(http_requests_total{'
                         'handler=~"/api/v1/(items|orders)", code!~"5.."}[5m]))',
    "requests_by_service": 'sum by (service) (label_replace(rate(http_requests_total[5m]),'
                           ' "service", "$1", "pod", "([a-z]+)-.*"))',
    "top_pods": "topk(10, sum by (pod) (rate(http_requests_total[5m])))",
    "than_an_hour_ago": "sum by (job) (rate(http_requests_total[5m]))"
                        " / sum by (job) (rate(http_requests_total[5m] offset 1h))",
    "p99_by_job": f"histogram_quantile(0.99, sum by (le, job) (rate({BUCKETS}[5m])))",
    "p90_by_handler": "histogram_quantile(0.9, sum by (le, job, handler)"
                      f' (rate({BUCKETS}{{handler!="/healthz"}}[5m])))',
    "p95_of_each": f'histogram_quantile(0.95, rate({BUCKETS}{{job="cart"}}[5m]))',
    "heatmap": f"sum by (le) (increase({BUCKETS}[1m]))",
    "mean_duration": "sum by (job) (rate(http_request_duration_seconds_sum[5m]))"
                     " / sum by (job) (rate(http_request_duration_seconds_count[5m]))",
    "apdex": f'(sum by (job) (rate({BUCKETS}{{le="0.1"}}[5m]))'
             f' + sum by (job) (rate({BUCKETS}{{le="0.5"}}[5m]))) / 2'
             " / sum by (job) (rate(http_request_duration_seconds_count[5m]))",
    # Nodes.
    "cpu_busy": '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])))',
    "cpu_modes": "sum by (instance, mode) (irate(node_cpu_seconds_total[5m]))",
    "cpu_of_each": 'rate(node_cpu_seconds_total{mode!="idle"}[5m])',
    "memory_used": "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
    "memory_free_share": "node_memory_MemFree_bytes / (node_memory_MemFree_bytes"
                         " + node_memory_Cached_bytes + node_memory_Buffers_bytes)",
    "disk_low": "node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.2",
    "disk_in_4h": 'predict_linear(node_filesystem_avail_bytes{fstype="ext4"}[1h], 4 * 3600) < 5e10',
    "network_bits": 'sum by (instance) (rate(node_network_receive_bytes_total'
                    '{device!~"lo|veth.*"}[5m])) * 8',
    "uptime": "time() - node_boot_time_seconds",
    "load_p95_1h": "quantile_over_time(0.95, node_load1[1h])",
    # Containers.
    "cpu_by_node": "sum by (node) (rate(container_cpu_usage_seconds_total[5m])"
                   " * on (namespace, pod) group_left (node) kube_pod_info)",
    "requests_by_node": "sum by (node) (rate(http_requests_total[5m])"
                        " * on (namespace, pod) group_left (node) kube_pod_info)",
    "memory_of_limit": "container_memory_working_set_bytes / on (namespace, pod)"
                       ' kube_pod_container_resource_limits{resource="memory"} > 0.5',
    "memory_of_each": "container_memory_working_set_bytes",
    "memory_max_1h": "max_over_time(container_memory_working_set_bytes[1h])",
    "top_memory": "topk(5, container_memory_working_set_bytes)",
    "memory_trend": "deriv(process_resident_memory_bytes[15m])",
    "restarts_1h": "sum by (job) (resets(process_cpu_seconds_total[1h]))",
    "goroutines": "avg by (job) (go_goroutines) + 2 * stddev by (job) (go_goroutines)",
    "quiet_pods": "count by (job) (up == 1 unless on (pod) go_goroutines > 400"
                  ' or up{job="node"})',
    # An hour less 5 s, so that no step of the subquery lies on the window's edge.
    "busiest_hour": "max_over_time(sum by (job) (rate(http_requests_total[5m]))[59m55s:1m])",
    "absent": 'absent(up{job="checkout-v2"})',
    # Every series.
    "count_of_all": 'count({__name__=~".+"})',
    "count_by_name": 'count by (__name__) ({__name__=~".+"})',
    "last_of_all": 'count by (job) (last_over_time({job=~".+"}[5m]))',
}

# Vectors whose order is the answer, too.
ORDERED = {"top_pods", "top_memory"}


class Kind:
    """An instant query, or a range with its step."""

    def __init__(self, name, hours=0, step=0):
        self.name, self.hours, self.step = name, hours, step

    def request(self, text):
        """Path and parameters under /api/v1."""
        if not self.hours:
            return "query", {"query": text, "time": END}
        return "query_range", {"query": text, "start": END - self.hours * HOUR, "end": END,
                               "step": self.step}


KINDS = [Kind("instant"), Kind("1h@60s", 1, 60), Kind("1h@15s", 1, 15), Kind("6h@60s", 6, 60),
         Kind("6h@15s", 6, 15)]


def chosen(pattern):
    """(name, kind, text) whose NAME/KIND matches."""
    return [(name, kind, text) for name, text in QUERIES.items() for kind in KINDS
            if re.search(pattern, f"{name}/{kind.name}")]
