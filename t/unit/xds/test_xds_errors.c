/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is refused, in which words and where; what is passed over when only
 * decisions are asked for; and that one wrong resource costs no other.
 */

#include "../model/model_fixture.h"
#include "xds.h"

#define SUBSET "envoy.extensions.load_balancing_policies.subset.v3.Subset"
#define TEN_MORE ", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0"
#define CLUSTER "{\"name\": \"c\", \"connect_timeout\": \"1s\", "
#define ZONE "\"common_lb_config\": {\"zone_aware_lb_config\": {"
#define RANDOM                                                                 \
    "\"load_balancing_policy\": {\"policies\": [{"                             \
    "\"typed_extension_config\": {\"name\": \"x\", \"typed_config\": "         \
    "{\"@type\": \"type.googleapis.com/envoy.extensions.load_balancing_"       \
    "policies.random.v3.Random\", \"locality_lb_config\": "                    \
    "{\"zone_aware_lb_config\": {"
#define RANDOM_END "}}}}}]}}"
#define ROUTE                                                                  \
    "{\"name\": \"t\", \"virtual_hosts\": [{\"name\": \"v\", \"domains\": "    \
    "[\"*\"], \"routes\": [{\"match\": {\"prefix\": \"/\"}, "
#define END "}]}]}"
#define ACTION ROUTE "\"route\": {\"cluster\": \"c\", "
#define ACTION_END "}" END
#define ENDPOINT                                                               \
    "{\"cluster_name\": \"c\", \"endpoints\": [{\"lb_endpoints\": [{"          \
    "\"endpoint\": {\"address\": {\"socket_address\": {\"address\": "          \
    "\"1.2.3.4\", \"port_value\": 5}}}, "
#define ENDPOINT_END "}]}]}"
#define MANAGER                                                                \
    "{\"name\": \"l\", \"filter_chains\": [{\"filters\": [{\"typed_config\": " \
    "{\"@type\": "                                                             \
    "\"type.googleapis.com/envoy.extensions.filters.network.http_connection_"  \
    "manager.v3.HttpConnectionManager\", \"rds\": {\"route_config_name\": "    \
    "\"t\"}, "
#define MANAGER_END "}}]}]}"

typedef struct {
    const char *text;
    const char *expected; /* in the messages */
} wrong_t;

static const wrong_t wrongs[] = {
    /* What it is. */
    {"{}", "f:1:1: found a map, expected a resource with its \"@type\""},
    {"[5]", "f:1:2: [0]: found 5, expected a resource with its \"@type\""},
    {"[[[[[[]]]]]]", "expected a resource with its \"@type\""},
    {"{\"resources\": {}}", "resources: found a map, expected a list"},
    {"{\"resources\": [], \"resorces\": 1}",
     "resorces: found an unknown field, expected \"resources\""},

    /* Fields. */
    {CLUSTER "\"lb_polcy\": 1}",
     "f:1:40: lb_polcy: found an unknown field, expected \"lb_policy\""},
    {CLUSTER "\"zzzzzzzzz\": 1}", "found an unknown field, expected a field of "
                                  "Cluster: name, type, cluster_type"},
    {CLUSTER "\"lb_policy\": 1, \"lbPolicy\": 1}",
     "lb_policy: found the field a second time"},
    {CLUSTER "\"lb_policy\": \"FAST\"}",
     "lb_policy: found \"FAST\", expected one of ROUND_ROBIN, LEAST_REQUEST"},
    {CLUSTER "\"lb_policy\": 4}", "lb_policy: found 4, expected one of"},
    {CLUSTER "\"lb_policy\": []}", "lb_policy: found a list, expected one of"},
    {"{\"name\": \"c\", \"connect_timeout\": \"1m\"}",
     "connect_timeout: found \"1m\", expected a duration of 0.001s to 24 days "
     "such as \"1.5s\""},
    {"{\"name\": \"c\", \"connect_timeout\": 1}",
     "connect_timeout: found 1, expected a duration"},
    {"{\"name\": \"c\", \"connect_timeout\": \"5ms\"}", "expected a duration"},
    {"{\"name\": \"c\", \"connect_timeout\": \"0.0001s\"}",
     "expected a duration of 0.001s to 24 days such as \"1.5s\", in whole "
     "milliseconds"},
    {"{\"connect_timeout\": \"1s\"}",
     "f:1:1: found none, expected Cluster with name"},
    {"{\"name\": \"a b\", \"connect_timeout\": \"1s\"}",
     "name: found \"a b\", expected a name of 1 to 1024 bytes without"},
    {CLUSTER "\"max_requests_per_connection\": -1}",
     "found -1, expected a whole number from 0 to 4294967295"},
    {CLUSTER "\"max_requests_per_connection\": 4294967296}",
     "expected a whole number from 0 to 4294967295"},
    {CLUSTER "\"common_lb_config\": 5}",
     "common_lb_config: found 5, expected CommonLbConfig: a map"},
    {CLUSTER "\"common_lb_config\": {\"healthy_panic_threshold\": "
             "{\"value\": 101}}}",
     "value: found 101, expected a whole number from 0 to 100"},

    /* Clusters. */
    {CLUSTER "\"type\": \"STATIC\", \"cluster_type\": {}}",
     "cluster_type: found both type and cluster_type, expected only one of "
     "them beside type"},
    {CLUSTER "\"type\": \"STATIC\", \"eds_cluster_config\": "
             "{\"service_name\": \"x\"}}",
     "found eds_cluster_config, expected it beside type: EDS only"},
    {CLUSTER "\"type\": \"EDS\", \"load_assignment\": {}}",
     "found both EDS and load_assignment, expected one of them"},
    {CLUSTER "\"load_assignment\": {\"endpoints\": [{\"lb_endpoints\": "
             "[{\"endpoint\": {\"address\": {\"socket_address\": "
             "{\"address\": \"a.b\", \"port_value\": 5}}}}]}]}}",
     "found a name in a STATIC cluster, expected addresses"},
    {CLUSTER "\"lb_policy\": \"LOAD_BALANCING_POLICY_CONFIG\"}",
     "found LOAD_BALANCING_POLICY_CONFIG alone"},
    {CLUSTER "\"lb_policy\": \"CLUSTER_PROVIDED\"}",
     "found CLUSTER_PROVIDED, expected a balancer"},
    {CLUSTER "\"maglev_lb_config\": {\"table_size\": \"10\"}}",
     "table_size: found 10, expected a prime number"},
    {CLUSTER "\"ring_hash_lb_config\": {\"minimum_ring_size\": \"9\", "
             "\"maximum_ring_size\": \"8\"}}",
     "found a minimum_ring_size above maximum_ring_size"},
    {CLUSTER "\"ring_hash_lb_config\": {}, \"maglev_lb_config\": {}}",
     "found more than one balancer's parameters"},
    {CLUSTER "\"load_balancing_policy\": {\"policies\": []}}",
     "policies: found a list, expected a list of at least one policy"},
    {CLUSTER "\"load_balancing_policy\": {\"policies\": "
             "[{\"typed_extension_config\": {\"typed_config\": {\"@type\": "
             "\"x/a.B\"}}}]}}",
     "a balancer of that type is not supported yet"},
    {CLUSTER "\"outlier_detection\": {\"max_ejection_time\": \"1s\"}}",
     "found max_ejection_time below base_ejection_time"},
    {CLUSTER "\"lb_subset_config\": {\"list_as_any\": true}}",
     "lb_subset_config.list_as_any: this field is not supported yet"},
    {CLUSTER "\"lb_subset_config\": {\"metadata_fallback_policy\": 1}}",
     "metadata_fallback_policy: FALLBACK_LIST is not supported yet"},
    {CLUSTER "\"lb_subset_config\": {\"subset_selectors\": [{}]}}",
     "subset_selectors[0]: found a selector without keys, expected one key"},
    {CLUSTER "\"lb_subset_config\": {\"subset_selectors\": [{\"keys\": "
             "[\"a\"], \"fallback_keys_subset\": [\"a\"]}]}}",
     "[0]: found fallback_keys_subset, expected it beside fallback_policy: "
     "KEYS_SUBSET only"},
    {CLUSTER "\"lb_subset_config\": {\"subset_selectors\": [{\"keys\": "
             "[\"a\"], \"fallback_policy\": \"KEYS_SUBSET\", "
             "\"fallback_keys_subset\": [\"a\"]}]}}",
     "[0]: found a fallback to all of the keys, expected some of the"},
    {CLUSTER "\"lb_subset_config\": {\"subset_selectors\": [{\"keys\": "
             "[\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\", \"i\", "
             "\"j\", \"k\", \"l\", \"m\", \"n\", \"o\", \"p\", \"q\"]}]}}",
     "subset_selectors[0]: found more than 16 keys, expected at most 16"},
    {CLUSTER "\"lb_subset_config\": {\"subset_selectors\": [0" TEN_MORE TEN_MORE
         TEN_MORE TEN_MORE TEN_MORE TEN_MORE ", 0, 0, 0, 0]}}",
     "subset_selectors: found more than 64 selectors, expected at most 64"},
    {CLUSTER "\"lb_subset_config\": {\"subset_selectors\": 5}}",
     "subset_selectors: found 5, expected a list"},
    {CLUSTER "\"load_balancing_policy\": {\"policies\": "
             "[{\"typed_extension_config\": {\"typed_config\": {\"@type\": "
             "\"x/" SUBSET "\", \"subset_lb_policy\": {\"policies\": "
             "[{\"typed_extension_config\": {\"typed_config\": {\"@type\": "
             "\"x/" SUBSET "\", \"subset_lb_policy\": {}}}}]}}}}]}}",
     "subset_lb_policy: found subsets of subsets, expected another balancer"},
    {ACTION "\"metadata_match\": {\"filter_metadata\": {\"envoy.lb\": "
            "{\"a\": []}}}" ACTION_END,
     "metadata_match.filter_metadata[\"envoy.lb\"].a: found a list"},
    {CLUSTER "\"circuit_breakers\": {\"thresholds\": [{\"max_requests\": 5}]}}",
     "circuit_breakers.thresholds[0].max_requests: a limit is not supported"},
    {CLUSTER "\"transport_socket\": {\"name\": \"tls\"}}",
     "transport_socket: this field is not supported yet"},
    {CLUSTER "\"health_checks\": [{}]}", "health_checks: this field is not"},
    {CLUSTER "\"type\": \"ORIGINAL_DST\"}",
     "type: ORIGINAL_DST is not supported yet"},
    {CLUSTER "\"typed_extension_protocol_options\": {\"x\": {\"@type\": "
             "\"a/b.C\"}}}",
     "an extension of type b.C is not supported yet"},
    {CLUSTER "\"typed_extension_protocol_options\": {\"x\": {}}}",
     "an extension of type that is not told is not supported yet"},

    {CLUSTER "\"http_protocol_options\": 5}",
     "http_protocol_options: found 5, expected a map"},
    {CLUSTER "\"http2_protocol_options\": 5}",
     "http2_protocol_options: found 5, expected a map"},
    {CLUSTER "\"http_protocol_options\": {\"accept_http_10\": true}}",
     "http_protocol_options: an option of HTTP/1 is not supported yet"},
    {CLUSTER "\"filters\": 5}", "filters: found 5, expected a list"},
    {CLUSTER "\"filters\": [{\"name\": \"x\"}]}",
     "filters: a network filter is not supported yet"},
    {CLUSTER "\"transport_socket\": []}",
     "transport_socket: found a list, expected a map"},
    {CLUSTER "\"common_http_protocol_options\": {\"idle_timeout\": "
             "\"0s\"}}",
     "idle_timeout: connections without an idle timeout is not supported yet"},
    {CLUSTER "\"common_http_protocol_options\": "
             "{\"headers_with_underscores_action\": 1}}",
     "REJECT_REQUEST is not supported yet"},
    {CLUSTER "\"least_request_lb_config\": {\"active_request_bias\": "
             "{\"default_value\": 10.5}}}",
     "active_request_bias: found a map, expected a bias from 0 to 10"},
    {CLUSTER "\"least_request_lb_config\": {\"slow_start_config\": "
             "{\"aggression\": {\"default_value\": 0}}}}",
     "found an aggression of 0, expected a number above 0"},
    {CLUSTER "\"outlier_detection\": {\"enforcing_consecutive_5xx\": 50}}",
     "enforcement of other than 0 or 100 percent is not supported yet"},

    /* Endpoints. */
    {ENDPOINT "\"metadata\": {\"filter_metadata\": 5}" ENDPOINT_END,
     "filter_metadata: found 5, expected a map"},
    {ENDPOINT
     "\"metadata\": {\"filter_metadata\": {\"envoy.lb\": []}}" ENDPOINT_END,
     "found a list, expected a map"},
    {"{\"cluster_name\": \"\"}", "found \"\", expected a name of 1 to 1024"},
    {ENDPOINT "\"load_balancing_weight\": 0" ENDPOINT_END,
     "load_balancing_weight: found 0, expected a whole number from 1 to "
     "16777216"},
    {ENDPOINT "\"health_status\": \"DEGRADED\"" ENDPOINT_END,
     "health_status: DEGRADED is not supported yet"},
    {ENDPOINT "\"endpoint_name\": \"x\"" ENDPOINT_END,
     "endpoint_name: found both endpoint and endpoint_name"},
    {"{\"cluster_name\": \"c\", \"endpoints\": [{\"priority\": 128}]}",
     "endpoints[0].priority: found 128, expected a whole number from 0 to 127"},
    {"{\"cluster_name\": \"c\", \"endpoints\": "
     "[{\"load_balancing_weight\": 0}]}",
     "load_balancing_weight: found 0, expected a whole number from 1 to"},
    {"{\"cluster_name\": \"c\", \"policy\": {\"overprovisioning_factor\": "
     "1000001}}",
     "overprovisioning_factor: found 1000001, expected a whole number from 1"},
    {CLUSTER "\"common_lb_config\": {\"zone_aware_lb_config\": {}, "
             "\"locality_weighted_lb_config\": {}}}",
     "more than one way of localities"},
    {CLUSTER ZONE "\"min_cluster_size\": \"-1\"}}}",
     "min_cluster_size: found -1, expected a whole number from 0 to"},
    {CLUSTER ZONE "\"min_cluster_size\": \"4294967296\"}}}",
     "expected a whole number from 0 to 4294967295"},
    {CLUSTER ZONE "\"routing_enabled\": {\"value\": 101}}}}",
     "value: found 101, expected a whole number from 0 to 100"},
    {CLUSTER ZONE "\"fail_traffic_on_panic\": 1}}}",
     "fail_traffic_on_panic: found 1, expected true or false"},
    {CLUSTER ZONE "\"force_local_zone\": {}}}}",
     "force_local_zone: found an unknown field"},
    {CLUSTER RANDOM "\"force_local_zone\": {\"min_size\": 0}" RANDOM_END,
     "min_size: found 0, expected a whole number from 1"},
    {CLUSTER RANDOM "\"force_locality_direct_routing\": 0" RANDOM_END,
     "force_locality_direct_routing: found 0, expected true or false"},
    {CLUSTER RANDOM "\"locality_basis\": \"LRS_REPORTED_RATE\"" RANDOM_END,
     "locality_basis: found \"LRS_REPORTED_RATE\", expected one of "
     "HEALTHY_HOSTS_NUM, HEALTHY_HOSTS_WEIGHT"},
    {"{\"cluster_name\": \"c\", \"endpoints\": [{\"lb_endpoints\": "
     "[{\"endpoint\": {\"address\": {}}}]}]}",
     "address: found no address, expected a socket_address or a pipe"},
    {"{\"cluster_name\": \"c\", \"endpoints\": [{\"lb_endpoints\": "
     "[{\"endpoint\": {\"address\": {\"pipe\": {\"path\": \"x\"}}}}]}]}",
     "expected an absolute path after unix:"},
    {"{\"cluster_name\": \"c\", \"endpoints\": [{\"lb_endpoints\": "
     "[{\"endpoint\": {\"address\": {\"socket_address\": {\"address\": "
     "\"a.b\", \"port_value\": 5}}}}]}]}",
     "found a name among EDS endpoints, expected addresses"},

    /* Matches. */
    {"{\"virtual_hosts\": [{\"name\": \"v\", \"domains\": [\"a..b\"]}]}",
     "virtual_hosts[0].domains[0]: found \"a..b\", expected a domain"},
    {"{\"virtual_hosts\": [{\"name\": \"v\"}]}",
     "found none, expected VirtualHost with domains"},
    {"{\"virtual_hosts\": [{\"name\": \"v\", \"domains\": [\"*\"], \"routes\": "
     "[{\"match\": {}, \"route\": {\"cluster\": \"c\"}}]}]}",
     "match: found no path, expected one of prefix, path"},
    {"{\"virtual_hosts\": [{\"name\": \"v\", \"domains\": [\"*\"], \"routes\": "
     "[{\"match\": {\"prefix\": \"/\", \"path\": \"/\"}, \"route\": "
     "{\"cluster\": \"c\"}}]}]}",
     "path: found more than one path, expected only one of them beside prefix"},
    {"{\"virtual_hosts\": [{\"name\": \"v\", \"domains\": [\"*\"], \"routes\": "
     "[{\"match\": {\"safe_regex\": {\"regex\": \"(\"}}, \"route\": "
     "{\"cluster\": \"c\"}}]}]}",
     "safe_regex.regex: found \"(\", expected a regular expression of RE2"},
    {"{\"virtual_hosts\": [{\"name\": \"v\", \"domains\": [\"*\"], \"routes\": "
     "[{\"match\": {\"prefix\": \"/\", \"headers\": [{\"name\": \"a b\"}]}, "
     "\"route\": {\"cluster\": \"c\"}}]}]}",
     "headers[0].name: found \"a b\", expected a header's name"},
    {"{\"virtual_hosts\": [{\"name\": \"v\", \"domains\": [\"*\"], \"routes\": "
     "[{\"match\": {\"prefix\": \"/\", \"headers\": [{\"name\": \"a\", "
     "\"string_match\": {}}]}, \"route\": {\"cluster\": \"c\"}}]}]}",
     "string_match: found no condition, expected one of exact, prefix"},
    {"{\"virtual_hosts\": [{\"name\": \"v\", \"domains\": [\"*\"], \"routes\": "
     "[{\"match\": {\"prefix\": \"/\", \"dynamic_metadata\": [{}]}, "
     "\"route\": {\"cluster\": \"c\"}}]}]}",
     "dynamic_metadata: this field is not supported yet"},

    /* Actions. */
    {ROUTE "\"name\": \"r\"" END, "found no action, expected one of route"},
    {ROUTE "\"redirect\": {\"https_redirect\": true}, \"route\": {}" END,
     "route: found more than one action, expected only one of them beside "
     "redirect"},
    {ROUTE "\"route\": {}" END, "found no cluster, expected one of cluster"},
    {ROUTE "\"route\": {\"cluster_header\": \":authority\"}" END,
     "cluster_header: a pseudo-header here is not supported yet"},
    {ROUTE "\"route\": {\"cluster_header\": \"x\", \"cluster\": \"c\"}" END,
     "cluster: found more than one way to a cluster"},
    {ACTION "\"cluster_not_found_response_code\": \"NOT_FOUND\"" ACTION_END,
     "cluster_not_found_response_code: an answer for a cluster that is named, "
     "and missing is not supported yet"},
    {ACTION "\"prefix_rewrite\": \"/a\", \"path_rewrite\": \"/b\"" ACTION_END,
     "path_rewrite: found more than one rewrite of the path, expected only one "
     "of them beside prefix_rewrite"},
    {ACTION "\"regex_rewrite\": {\"substitution\": \"/\"}" ACTION_END,
     "regex_rewrite: found none, expected RegexMatchAndSubstitute with "
     "pattern"},
    {ACTION "\"regex_rewrite\": {\"pattern\": {\"regex\": \"a\"}, "
            "\"substitution\": \"\\\\1\"}" ACTION_END,
     "regex_rewrite.substitution: found \"\\\\1\", expected groups up to "
     "\\0"},
    {ACTION "\"path_rewrite_policy\": {\"typed_config\": {\"@type\": "
            "\"a/b.C\"}}" ACTION_END,
     "typed_config: a policy that is no uri_template is not supported yet"},
    {ACTION "\"path_rewrite_policy\": {\"typed_config\": {\"@type\": "
            "\"a/envoy.extensions.path.rewrite.uri_template.v3."
            "UriTemplateRewriteConfig\", \"path_template_rewrite\": "
            "\"/{a}\"}}" ACTION_END,
     "route.path_rewrite_policy: found a map, expected it where "
     "match.path is a template"},
    {ACTION "\"path_rewrite\": \"/%RESP(a)%\"" ACTION_END,
     "path_rewrite: found \"/%RESP(a)%\", expected text with variables"},
    {ACTION "\"auto_host_rewrite\": true, \"host_rewrite_header\": "
            "\"x\"" ACTION_END,
     "host_rewrite_header: found more than one rewrite of the host"},
    {ACTION "\"host_rewrite_path_regex\": {\"pattern\": {\"regex\": \"a\"}, "
            "\"substitution\": \"\\\\1\"}" ACTION_END,
     "host_rewrite_path_regex.substitution: found \"\\\\1\", expected groups "
     "up to \\0"},
    {ROUTE "\"route\": {\"weighted_clusters\": {\"clusters\": [{"
           "\"weight\": 1}]}}" END,
     "clusters[0]: found no cluster, expected one of name, cluster_header"},
    {ROUTE "\"route\": {\"weighted_clusters\": {\"clusters\": [{\"name\": "
           "\"c\", \"weight\": 0}]}}" END,
     "clusters: found only weights of 0, expected at least one above 0"},
    {ROUTE "\"route\": {\"weighted_clusters\": {\"clusters\": [{\"name\": "
           "\"c\"}]}}" END,
     "clusters[0]: found none, expected ClusterWeight with weight"},
    {ROUTE "\"redirect\": {\"strip_query\": true}" END,
     "found a redirect to where the request is already"},
    {ROUTE "\"direct_response\": {\"status\": 199}" END,
     "status: found 199, expected a whole number from 200 to 599"},
    {ROUTE "\"direct_response\": {\"status\": 200, \"body\": "
           "{\"inline_bytes\": \"?\"}}" END,
     "inline_bytes: found \"?\", expected base64"},
    {ACTION "\"max_grpc_timeout\": \"0s\"" ACTION_END,
     "max_grpc_timeout: this field is not supported yet"},
    {ACTION "\"priority\": \"HIGH\"" ACTION_END,
     "priority: HIGH is not supported yet"},
    {ACTION "\"idle_timeout\": \"0s\"" ACTION_END,
     "idle_timeout: no idle timeout at all is not supported yet"},
    {ACTION
     "\"retry_policy\": {\"retry_on\": \"5xx,refused-stream\"}" ACTION_END,
     "retry_on: refused-stream is not supported yet"},
    {ACTION "\"retry_policy\": {\"num_retries\": 101}" ACTION_END,
     "num_retries: found 101, expected a whole number from 0 to 100"},
    {ACTION
     "\"hash_policy\": [{\"header\": {\"header_name\": \":path\"}}]" ACTION_END,
     "a hash of a pseudo-header is not supported yet"},
    {ACTION "\"hash_policy\": [{\"header\": {\"header_name\": \"x\", "
            "\"regex_rewrite\": {\"pattern\": {\"regex\": \"a\"}, "
            "\"substitution\": \"\\\\1\"}}}]" ACTION_END,
     "header.regex_rewrite.substitution: found \"\\\\1\", expected groups up "
     "to \\0"},
    {ACTION "\"hash_policy\": [{}]" ACTION_END,
     "hash_policy[0]: found no policy"},
    {ACTION "\"hash_policy\": [{\"cookie\": {\"name\": \"k\", \"ttl\": "
            "\"1.5s\"}}]" ACTION_END,
     "ttl: found \"1.5s\", expected whole seconds"},
    {ROUTE "\"request_headers_to_add\": [{\"header\": {\"key\": \"a\", "
           "\"value\": \"%RESP(a)%\"}}], \"route\": {\"cluster\": \"c\"}" END,
     "value: found \"%RESP(a)%\", expected text with variables such as "},
    {ROUTE "\"request_headers_to_add\": [{\"header\": {\"key\": \":path\", "
           "\"value\": \"b\"}}], \"route\": {\"cluster\": \"c\"}" END,
     "key: found \":path\", expected a header that is not a pseudo-header"},
    {ROUTE "\"request_headers_to_add\": [{\"header\": {\"key\": \"a\"}, "
           "\"append\": true, \"append_action\": 2}], \"route\": "
           "{\"cluster\": \"c\"}" END,
     "found both append and append_action, expected one of them"},
    {ROUTE "\"typed_per_filter_config\": {\"x\": {\"@type\": \"y/a.Rbac\"}}, "
           "\"route\": {\"cluster\": \"c\"}" END,
     "a setting of type a.Rbac is not supported yet"},

    {ACTION "\"request_mirror_policies\": [{}]" ACTION_END,
     "request_mirror_policies[0]: found no cluster, expected a cluster"},
    {ACTION "\"request_mirror_policies\": [{\"cluster\": \"c\", "
            "\"cluster_header\": \"x\"}]" ACTION_END,
     "cluster_header: found more than one way to a cluster"},
    {ACTION "\"request_mirror_policies\": [1,2,3,4,5,6,7,8,9]" ACTION_END,
     "request_mirror_policies: found more than 8 mirrors, expected at most 8"},
    {ACTION "\"cors\": {\"allow_origin_string_match\": [{}]}" ACTION_END,
     "allow_origin_string_match[0]: found no condition"},
    {ACTION "\"cors\": {\"shadow_enabled\": {}}" ACTION_END,
     "shadow_enabled: this field is not supported yet"},
    {ACTION "\"internal_redirect_policy\": {\"redirect_response_codes\": "
            "[\"x\"]}" ACTION_END,
     "redirect_response_codes[0]: found \"x\", expected a whole number"},
    {ROUTE "\"typed_per_filter_config\": {\"x\": {\"@type\": "
           "\"y/envoy.extensions.filters.http.buffer.v3.BufferPerRoute\"}}, "
           "\"route\": {\"cluster\": \"c\"}" END,
     "x: found neither, expected one of disabled, buffer"},
    {ROUTE "\"typed_per_filter_config\": {\"x\": {\"@type\": "
           "\"y/envoy.extensions.filters.http.buffer.v3.BufferPerRoute\", "
           "\"buffer\": {\"max_request_bytes\": 0}}}, "
           "\"route\": {\"cluster\": \"c\"}" END,
     "max_request_bytes: found 0, expected a whole number from 1 to"},

    /* Listeners. */
    {MANAGER "\"http_filters\": [{\"typed_config\": {\"@type\": "
             "\"t/a.Jwt\"}}]" MANAGER_END,
     "http_filters[0]: an http filter of type a.Jwt is not supported yet"},
    {MANAGER "\"scoped_routes\": {}" MANAGER_END,
     "scoped_routes: found more than one source of routes"},
    {MANAGER "\"path_with_escaped_slashes_action\": \"NO\"" MANAGER_END,
     "found \"NO\", expected one of IMPLEMENTATION_SPECIFIC_DEFAULT"},
};

/* Messages of a document; the part in *part. */
static const char *load(fixture_t *f, const char *text, bool apart,
                        const xds_count_t **counts) {
    fixture_open(f);
    f->root =
        model_node_from_json(f->arena, "f", mesh_str_from(text), &f->errors);
    if (f->root == NULL) {
        fail_msg("%s: %s", text, fixture_messages(f));
    }
    xds_t *xds = xds_new(f->arena, &f->errors, apart);
    xds_add(xds, "f", f->root);
    f->part = xds_part(xds, "f");
    if (counts != NULL) {
        *counts = xds_counts(xds);
    }
    return fixture_messages(f);
}

static void wrong_resources_are_refused(void **state) {
    bool ok = true;
    (void)state;

    for (size_t i = 0; i < mesh_nelts(wrongs); i++) {
        fixture_t f;
        const char *messages = load(&f, wrongs[i].text, false, NULL);

        if (f.errors.errors == 0 ||
            strstr(messages, wrongs[i].expected) == NULL) {
            print_message("%s\nsaid: %swanted: %s\n", wrongs[i].text, messages,
                          wrongs[i].expected);
            ok = false;
        }
        if (f.part->nclusters + f.part->nsets + f.part->ntables != 0) {
            print_message("%s: is there\n", wrongs[i].text);
            ok = false;
        }
        fixture_close(&f);
    }
    assert_true(ok);
}

/* --- what is passed over ------------------------------------------------- */

static const char *const aparts[] = {
    CLUSTER "\"health_checks\": [{}]}",
    CLUSTER "\"transport_socket\": {\"name\": \"tls\"}}",
    CLUSTER "\"type\": \"ORIGINAL_DST\", \"lb_policy\": 6}",
    CLUSTER "\"cluster_type\": {\"name\": \"x\"}}",
    CLUSTER "\"circuit_breakers\": {\"thresholds\": [{\"max_requests\": 5}]}}",
    ACTION "\"max_grpc_timeout\": \"0s\"" ACTION_END,
    ACTION
    "\"request_mirror_policies\": [{\"cluster_header\": \"x\"}]" ACTION_END,
    ACTION
    "\"internal_redirect_policy\": {\"max_internal_redirects\": 17}" ACTION_END,
    ACTION "\"internal_redirect_policy\": {\"predicates\": [{}]}" ACTION_END,
    ACTION "\"cors\": {\"filter_enabled\": {\"default_value\": "
           "{\"numerator\": 99}}}" ACTION_END,
    ACTION "\"priority\": \"HIGH\"" ACTION_END,
    ACTION "\"retry_policy\": {\"retry_on\": \"refused-stream\"}" ACTION_END,
    MANAGER "\"http_filters\": [{\"typed_config\": {\"@type\": "
            "\"t/a.Jwt\"}}]" MANAGER_END,
};

static void what_decides_nothing_is_passed_over_when_asked(void **state) {
    const xds_count_t *counts;
    (void)state;

    for (size_t i = 0; i < mesh_nelts(aparts); i++) {
        fixture_t f;
        const char *messages = load(&f, aparts[i], false, &counts);

        assert_non_null(strstr(messages, "is not supported yet"));
        assert_true(f.errors.errors > 0);
        fixture_close(&f);

        messages = load(&f, aparts[i], true, &counts);
        if (f.errors.errors != 0) {
            fail_msg("%s: %s", aparts[i], messages);
        }
        assert_non_null(strstr(messages, "warning: "));
        assert_int_equal(counts[XDS_CLUSTERS].taken + counts[XDS_ROUTES].taken +
                             counts[XDS_LISTENERS].taken,
                         1);
        fixture_close(&f);
    }
}

/* What decides is refused all the same. */
static void what_decides_is_never_passed_over(void **state) {
    static const char *const texts[] = {
        CLUSTER "\"lb_subset_config\": {\"scale_locality_weight\": true}}",
        ROUTE "\"route\": {\"cluster_header\": \":path\"}" END,
        ACTION "\"host_rewrite\": \"x\"" ACTION_END,
        "{\"cluster_name\": \"c\", \"endpoints\": "
        "[{\"leds_cluster_locality_config\": {}}]}",
        MANAGER "\"strip_any_host_port\": true" MANAGER_END,
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(texts); i++) {
        fixture_t f;

        load(&f, texts[i], true, NULL);
        assert_int_equal(f.errors.errors, 1);
        fixture_close(&f);
    }
}

/* --- sums ---------------------------------------------------------------- */

static void one_wrong_resource_costs_no_other(void **state) {
    const xds_count_t *counts;
    fixture_t f;
    (void)state;

    const char *messages =
        load(&f,
             "{\"resources\": ["
             "{\"@type\": \"a/envoy.config.cluster.v3.Cluster\", \"name\": "
             "\"good\"},"
             "{\"@type\": \"a/envoy.config.cluster.v3.Cluster\", \"name\": "
             "\"bad\", \"lb_policy\": 99},"
             "{\"@type\": \"a/b.Secret\"},"
             "{\"@type\": \"a/envoy.config.cluster.v3.Cluster\", \"name\": "
             "\"fine\"}]}",
             false, &counts);
    assert_int_equal(f.part->nclusters, 2);
    assert_text(f.part->clusters[0].name, "good");
    assert_text(f.part->clusters[1].name, "fine");
    assert_int_equal(counts[XDS_CLUSTERS].taken, 2);
    assert_int_equal(counts[XDS_CLUSTERS].refused, 1);
    assert_int_equal(f.errors.errors, 1);
    assert_string_equal(f.errors.first->resource, "cluster \"bad\"");
    assert_non_null(strstr(messages, "resources[1].lb_policy: found 99"));
    assert_non_null(
        strstr(messages, "a resource of type b.Secret is not supported yet"));
    fixture_close(&f);
}

/* Once a field, however many resources have it, and counted. */
static void what_is_missing_is_told_once_and_counted(void **state) {
    uint32_t n;
    fixture_t f;
    (void)state;

    fixture_open(&f);
    f.root = model_node_from_json(
        f.arena, "f",
        MESH_STR("[" CLUSTER
                 "\"metadata\": {}, \"health_checks\": [1]}," CLUSTER
                 "\"metadata\": {}}," CLUSTER "\"health_checks\": []}]"),
        &f.errors);
    xds_t *xds = xds_new(f.arena, &f.errors, false);
    xds_add(xds, "f", f.root);
    const xds_missing_t *missing = xds_missing(xds, &n);
    assert_int_equal(n, 2);
    assert_string_equal(missing[0].where, "cluster: metadata");
    assert_int_equal(missing[0].resources, 2);
    assert_false(missing[0].refused);
    assert_string_equal(missing[1].where, "cluster: health_checks");
    assert_int_equal(missing[1].resources, 1);
    assert_true(missing[1].refused);
    assert_int_equal(f.errors.warnings, 1);
    assert_int_equal(f.errors.errors, 1);
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_resources_are_refused),
        cmocka_unit_test(what_decides_nothing_is_passed_over_when_asked),
        cmocka_unit_test(what_decides_is_never_passed_over),
        cmocka_unit_test(one_wrong_resource_costs_no_other),
        cmocka_unit_test(what_is_missing_is_told_once_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
