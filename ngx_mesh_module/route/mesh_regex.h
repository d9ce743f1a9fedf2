/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How regular expressions are compiled and matched: once for the worker's
 * cache (core/), and for agent, meshctl and tests, so that all read a pattern
 * alike.  No pure source uses this, as PCRE2 allocates; they have the call of
 * the request view.
 *
 * A pattern matches the whole text, byte by byte, as RE2 does for Envoy: the
 * agent has refused what PCRE2 would read differently (model_regex.c).  That
 * of a rewrite is looked for in the text, and has groups.
 */

#ifndef MESH_REGEX_H
#define MESH_REGEX_H

#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH  8
#endif

#include <pcre2.h>

#include "mesh_base.h"
#include "mesh_request.h"


/* Backtracking that one match may do; it bounds the time, not the result. */
#define MESH_REGEX_STEPS      100000
#define MESH_REGEX_DEPTH      10000
#define MESH_REGEX_HEAP_KIB   1024
#define MESH_REGEX_STEPS_MIN  1000      /* of a search after many others */
#define MESH_REGEX_STACK      (1024 * 1024)    /* of JIT code, at most */


typedef enum {
    MESH_REGEX_NO = 0,
    MESH_REGEX_YES = 1,
    MESH_REGEX_LIMIT = 2            /* gave up */
} mesh_regex_result_e;

typedef struct {
    pcre2_code           *code;
    pcre2_match_context  *limits;
    pcre2_match_data     *data;
} mesh_regex_t;


static inline void
mesh_regex_free(mesh_regex_t *re)
{
    pcre2_match_data_free(re->data);
    pcre2_match_context_free(re->limits);
    pcre2_code_free(re->code);
    memset(re, 0, sizeof(mesh_regex_t));
}


/* For any number of patterns of one thread; NULL: there is no JIT. */
static inline pcre2_jit_stack *
mesh_regex_stack(void)
{
    return pcre2_jit_stack_create(32 * 1024, MESH_REGEX_STACK, NULL);
}


/* The pattern's code alone. */
static inline pcre2_code *
mesh_regex_code(mesh_str_t pattern, uint32_t options, int *error, size_t *at)
{
    pcre2_code             *code;
    pcre2_compile_context  *ctx;

    *error = PCRE2_ERROR_NOMEMORY;
    *at = 0;

    ctx = pcre2_compile_context_create(NULL);
    if (ctx == NULL) {
        return NULL;
    }

    (void) pcre2_set_newline(ctx, PCRE2_NEWLINE_LF);

    code = pcre2_compile((PCRE2_SPTR) pattern.data, pattern.len,
                         options|PCRE2_DOLLAR_ENDONLY
                         |PCRE2_NEVER_UTF|PCRE2_NEVER_BACKSLASH_C,
                         error, at, ctx);

    pcre2_compile_context_free(ctx);

    return code;
}


/*
 * false: not a pattern, or no memory; `error` is PCRE2's and `at` the byte.
 * Without JIT the interpreter works under the same limits.
 */
static inline bool
mesh_regex_make(mesh_regex_t *re, mesh_str_t pattern, bool search,
    pcre2_jit_stack *stack, int *error, size_t *at)
{
    uint32_t  options;

    memset(re, 0, sizeof(mesh_regex_t));

    options = search ? 0 : PCRE2_ANCHORED|PCRE2_ENDANCHORED
                           |PCRE2_NO_AUTO_CAPTURE;
    re->code = mesh_regex_code(pattern, options, error, at);

    if (re->code == NULL) {
        return false;
    }

    re->limits = pcre2_match_context_create(NULL);
    re->data = pcre2_match_data_create(search ? MESH_FOUND_GROUPS : 1, NULL);

    if (re->limits == NULL || re->data == NULL) {
        *error = PCRE2_ERROR_NOMEMORY;
        mesh_regex_free(re);
        return false;
    }

    (void) pcre2_set_match_limit(re->limits, MESH_REGEX_STEPS);
    (void) pcre2_set_depth_limit(re->limits, MESH_REGEX_DEPTH);
    (void) pcre2_set_heap_limit(re->limits, MESH_REGEX_HEAP_KIB);

    if (pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE) == 0) {
        pcre2_jit_stack_assign(re->limits, NULL, stack);
    }

    return true;
}


static inline bool
mesh_regex_compile(mesh_regex_t *re, mesh_str_t pattern,
    pcre2_jit_stack *stack, int *error, size_t *at)
{
    return mesh_regex_make(re, pattern, false, stack, error, at);
}


static inline mesh_regex_result_e
mesh_regex_match(const mesh_regex_t *re, mesh_str_t text)
{
    int  rc;

    rc = pcre2_match(re->code, (PCRE2_SPTR) (text.len ? text.data : ""),
                     text.len, 0, 0, re->data, re->limits);

    if (rc >= 0) {
        return MESH_REGEX_YES;
    }

    return rc == PCRE2_ERROR_NOMATCH ? MESH_REGEX_NO : MESH_REGEX_LIMIT;
}


/*
 * Of one that was made for searching.  The more often it was found, the fewer
 * steps it may take: a long text costs some millions of them at most.
 */
static inline mesh_found_e
mesh_regex_search(const mesh_regex_t *re, mesh_str_t text,
    mesh_found_t *found)
{
    int          i, rc;
    uint32_t     steps;
    PCRE2_SIZE  *v;

    steps = MESH_REGEX_STEPS / (found->count + 1);

    (void) pcre2_set_match_limit(re->limits,
                                 mesh_max(steps, MESH_REGEX_STEPS_MIN));

    rc = pcre2_match(re->code, (PCRE2_SPTR) (text.len ? text.data : ""),
                     text.len, found->at, 0, re->data, re->limits);

    if (rc < 0) {
        return rc == PCRE2_ERROR_NOMATCH ? MESH_FOUND_NO : MESH_FOUND_LIMIT;
    }

    v = pcre2_get_ovector_pointer(re->data);

    /* 0: more groups than there is room for, which is enough for ours. */

    rc = rc == 0 ? (int) pcre2_get_ovector_count(re->data) : rc;

    for (i = 0; i < 2 * MESH_FOUND_GROUPS; i++) {
        found->v[i] = i < 2 * rc ? v[i] : SIZE_MAX;
    }

    return MESH_FOUND_YES;
}


#endif /* MESH_REGEX_H */
