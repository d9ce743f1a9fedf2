/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl's options: one row each, which all that is said of them is made of.
 */

#include <math.h>
#include <stdlib.h>

#include "agent_config.h"
#include "ctl_args.h"
#include "ctl_protocol.h"
#include "model_table.h"

bool ctl_parse_u64(const char *text, uint64_t *out) {
    uint64_t value = 0;

    if (*text == '\0') {
        return false;
    }
    for (; *text; text++) {
        unsigned digit = (unsigned)(*text - '0');
        if (digit > 9 || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

/* "-" is what $mesh_ticket says of a ticket that decided nothing. */
static bool parse_half(const char *text, uint64_t *out) {
    if (strcmp(text, "-") == 0) {
        *out = 0;
        return true;
    }
    return ctl_parse_u64(text, out);
}

/* "ROUTE.CLUSTER", and ".SHARE" if one was drawn. */
static bool parse_ticket(const char *text, ctl_args_t *args) {
    uint64_t *const parts[] = {&args->route_ticket, &args->cluster_ticket,
                               &args->share_ticket};
    size_t n = 0;

    for (; n < mesh_nelts(parts); n++) {
        char part[24];
        size_t len = strcspn(text, ".");

        if (len >= sizeof(part)) {
            return false;
        }
        memcpy(part, text, len);
        part[len] = '\0';
        if (!parse_half(part, parts[n])) {
            return false;
        }
        text += len;
        if (*text == '\0') {
            return n > 0;
        }
        text++;
    }
    return false;
}

/* $mesh_hash: hex digits and nothing else. */
static bool parse_hash(const char *text, uint64_t *out) {
    size_t len = strlen(text);

    if (len == 0 || len > 16 || strspn(text, "0123456789abcdefABCDEF") != len) {
        return false;
    }
    *out = strtoull(text, NULL, 16);
    return true;
}

bool ctl_parse_runtime(const char *text, mesh_str_t *key,
                       model_share_t *share) {
    const char *equals = strrchr(text, '=');

    if (equals == NULL) {
        return false;
    }
    *key = (mesh_str_t){(size_t)(equals - text), text};
    return model_is_runtime_key(*key) &&
           model_parse_share(mesh_str_from(equals + 1), share);
}

static bool parse_timeout(const char *text, uint32_t *ms) {
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !(seconds >= 0) ||
        seconds > CTL_TIMEOUT_MAX_MS / 1000) {
        return false;
    }
    *ms = (uint32_t)(seconds * 1000);
    return true;
}

static bool take_zone(const char *value, ctl_args_t *args) {
    args->zone = value;
    return true;
}

static bool take_socket(const char *value, ctl_args_t *args) {
    args->socket = value;
    return true;
}

static bool take_output(const char *value, ctl_args_t *args) {
    args->json = strcmp(value, "json") == 0;
    return args->json || strcmp(value, "table") == 0;
}

static bool take_header(const char *value, ctl_args_t *args) {
    if (args->nheaders == CTL_HEADERS_MAX || strchr(value, ':') == NULL) {
        return false;
    }
    args->headers[args->nheaders++] = value;
    return true;
}

static bool take_table(const char *value, ctl_args_t *args) {
    args->table = value;
    return true;
}

static bool take_ticket(const char *value, ctl_args_t *args) {
    return parse_ticket(value, args);
}

static bool take_source(const char *value, ctl_args_t *args) {
    args->source = value;
    return true;
}

static bool take_sni(const char *value, ctl_args_t *args) {
    args->sni = value;
    return true;
}

static bool take_port(const char *value, ctl_args_t *args) {
    uint64_t port;

    args->port = value;
    return value[0] != '0' && ctl_parse_u64(value, &port) && port <= 65535;
}

static bool take_hash(const char *value, ctl_args_t *args) {
    return parse_hash(value, &args->hash);
}

static bool take_random(const char *value, ctl_args_t *args) {
    return ctl_parse_u64(value, &args->random);
}

static bool take_runtime(const char *value, ctl_args_t *args) {
    model_share_t share;
    mesh_str_t key;

    if (args->nruntime == CTL_RUNTIME_MAX ||
        !ctl_parse_runtime(value, &key, &share)) {
        return false;
    }
    args->runtime[args->nruntime++] = value;
    return true;
}

static bool take_view(const char *value, ctl_args_t *args) {
    args->view = value;
    return true;
}

static bool take_resources(const char *value, ctl_args_t *args) {
    if (args->nresources == CTL_RESOURCES_MAX) {
        return false;
    }
    args->resources[args->nresources++] = value;
    return true;
}

static bool take_into(const char *value, ctl_args_t *args) {
    args->into = value;
    return true;
}

static bool take_at(const char *value, ctl_args_t *args) {
    return ctl_parse_u64(value, &args->at) && args->at != 0;
}

static bool take_file(const char *value, ctl_args_t *args) {
    args->file = value;
    return true;
}

static bool take_part(const char *value, ctl_args_t *args) {
    args->part = value;
    return ctl_part_valid(value);
}

static bool take_format(const char *value, ctl_args_t *args) {
    args->format = value;
    return true;
}

/* That it is given is all there is to know. */
static bool take_flag(const char *value, ctl_args_t *args) {
    (void)value;
    (void)args;
    return true;
}

static bool take_applied(const char *value, ctl_args_t *args) {
    return ctl_parse_u64(value, &args->applied);
}

static bool take_timeout(const char *value, ctl_args_t *args) {
    return parse_timeout(value, &args->timeout_ms);
}

static bool take_ignore(const char *value, ctl_args_t *args) {
    if (args->nignored == CTL_IGNORES_MAX) {
        return false;
    }
    args->ignored[args->nignored++] = value;
    return true;
}

static bool take_gateway(const char *value, ctl_args_t *args) {
    if (args->ngateways == CTL_GATEWAYS_MAX) {
        return false;
    }
    args->gateways[args->ngateways++] = value;
    return true;
}

const ctl_option_row_t ctl_options[] = {
    {"zone", 0, 0, "DIR", CTL_WORDS_DIRECTORIES,
     "the zone; " AGENT_ZONE " unless said", false, false, take_zone},
    {"socket", 0, 0, "PATH", CTL_WORDS_FILES,
     "the agent's socket; agent.sock of the zone unless said", false, false,
     take_socket},
    {"output", 'o', 0, "json|table", "json|table",
     "json for machines, a table for people", false, false, take_output},
    {"file", 'f', CTL_TAKES_FILE, "FILE|-", CTL_WORDS_FILES,
     "what is applied, or requests to explain; -: standard input", true, false,
     take_file},
    {"header", 'H', CTL_TAKES_HEADER, "'name: value'", NULL,
     "a header of the request", false, true, take_header},
    {"table", 0, CTL_TAKES_TABLE, "NAME", CTL_WORDS_TABLES,
     "the route table; default unless said", false, false, take_table},
    {"source", 0, CTL_TAKES_SOURCE, "ADDRESS", NULL, "the client's address",
     false, false, take_source},
    {"sni", 0, CTL_TAKES_SNI, "NAME", NULL,
     "the name that the client's TLS asks for; the host of an https URL unless "
     "said",
     false, false, take_sni},
    {"port", 0, CTL_TAKES_PORT, "PORT", NULL,
     "the port that the client connects to", false, false, take_port},
    {"ticket", 0, CTL_TAKES_TICKET, "R.C[.S]", NULL,
     "the tickets of a request, as $mesh_ticket tells them; the next ones "
     "unless said",
     false, false, take_ticket},
    {"hash", 0, CTL_TAKES_HASH, "HEX", NULL,
     "the hash of a request, as $mesh_hash tells it", false, false, take_hash},
    {"random", 0, CTL_TAKES_RANDOM, "N", NULL,
     "the random value that percentages and weights are asked with, as Envoy "
     "asks them; in place of tickets",
     false, false, take_random},
    {"runtime", 0, CTL_TAKES_RUNTIME, "KEY=PERCENTAGE", NULL,
     "another value of a runtime key", false, true, take_runtime},
    {"view", 0, CTL_TAKES_VIEW, "FILE|-", CTL_WORDS_FILES,
     "what is seen of endpoints, as meshctl -o json endpoints told it; what is "
     "seen now unless said",
     false, false, take_view},
    {"at", 0, CTL_TAKES_AT, "GENERATION", CTL_WORDS_GENERATIONS,
     "a generation of the history; the published one unless said", false, false,
     take_at},
    {"resources", 0, CTL_TAKES_RESOURCES, "FILE", CTL_WORDS_FILES,
     "instead of a zone: mesh files or Envoy's resources, compiled in memory",
     false, true, take_resources},
    {"into", 0, CTL_TAKES_INTO, "DIR", CTL_WORDS_DIRECTORIES,
     "the zone's directory that is written", false, false, take_into},
    {"part", 0, CTL_TAKES_PART, "NAME", NULL,
     "the part that is written; apply unless said", false, false, take_part},
    {"format", 0, CTL_TAKES_FORMAT, "yaml|json|lines", "yaml|json|lines",
     "of the input; told by its name or its beginning unless said", false,
     false, take_format},
    {"follow", 0, CTL_TAKES_FOLLOW, NULL, NULL,
     "take lines as they come, as long as the input is open", false, false,
     take_flag},
    {"applied", 0, CTL_TAKES_APPLIED, "GENERATION", CTL_WORDS_GENERATIONS,
     "what is waited for; the published one unless said", false, false,
     take_applied},
    {"wait", 0, CTL_TAKES_WAIT, NULL, NULL,
     "answer when all live workers have it", false, false, take_flag},
    {"timeout", 0, CTL_TAKES_TIMEOUT, "SECONDS", NULL,
     "how long to wait; 10 unless said", false, false, take_timeout},
    {"ignore", 0, CTL_TAKES_IGNORE, "CODE", CTL_WORDS_CODES,
     "no findings of this code", false, true, take_ignore},
    {"gateway", 0, CTL_TAKES_GATEWAY, "ADDRESS", NULL,
     "an address that leads into this mesh again: retries multiply there",
     false, true, take_gateway},
};

const size_t ctl_noptions = mesh_nelts(ctl_options);
