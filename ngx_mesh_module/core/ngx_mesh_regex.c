/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A worker's compiled regular expressions.  Found by digest, so a pattern
 * outlives roots, files and compactions; bounded, so that no mesh fills the
 * memory: where a new one has no place, the one of its set that was not used
 * for longest goes.
 */

#include "ngx_mesh_worker.h"
#include "mesh_regex.h"


#define NGX_MESH_REGEX_SETS   256
#define NGX_MESH_REGEX_WAYS   4


typedef struct {
    mesh_digest_t    digest;
    uint64_t         used;                  /* 0: empty */
    mesh_regex_t     re;                    /* no code: not to be compiled */
} ngx_mesh_regex_t;


static ngx_mesh_regex_t   ngx_mesh_regexes[NGX_MESH_REGEX_SETS]
                                          [NGX_MESH_REGEX_WAYS];
static pcre2_jit_stack   *ngx_mesh_regex_stack;
static uint64_t           ngx_mesh_regex_clock;


static void
ngx_mesh_regex_compile(ngx_mesh_regex_t *cell, const mesh_digest_t *digest,
    mesh_str_t pattern, bool search)
{
    int        error;
    size_t     at;
    ngx_str_t  text;

    mesh_regex_free(&cell->re);

    if (ngx_mesh_regex_stack == NULL) {
        ngx_mesh_regex_stack = mesh_regex_stack();
    }

    cell->digest = *digest;

    if (!mesh_regex_make(&cell->re, pattern, search, ngx_mesh_regex_stack,
                         &error, &at))
    {
        /* The agent has compiled it: another PCRE2, or no memory. */

        text.len = pattern.len;
        text.data = (u_char *) pattern.data;

        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "regular expression \"%V\" matches nothing: PCRE2's "
                      "error %d at %uz", &text, error, at);
    }
}


/* A pattern that is looked for has a digest of its own. */
static ngx_mesh_regex_t *
ngx_mesh_regex_find(const mesh_digest_t *digest, mesh_str_t pattern,
    bool search)
{
    ngx_uint_t         i;
    ngx_mesh_regex_t  *set, *oldest;

    set = ngx_mesh_regexes[digest->b[0] % NGX_MESH_REGEX_SETS];
    oldest = &set[0];

    for (i = 0; i < NGX_MESH_REGEX_WAYS; i++) {

        if (set[i].used
            && ngx_memcmp(&set[i].digest, digest, sizeof(mesh_digest_t)) == 0)
        {
            set[i].used = ++ngx_mesh_regex_clock;
            return &set[i];
        }

        if (set[i].used < oldest->used) {
            oldest = &set[i];
        }
    }

    ngx_mesh_regex_compile(oldest, digest, pattern, search);
    oldest->used = ++ngx_mesh_regex_clock;

    return oldest;
}


static void
ngx_mesh_regex_gave_up(void)
{
    mesh_runtime_t  *rt;

    rt = ngx_mesh_runtime();
    (void) mesh_fetch_add(&rt->workers[rt->worker].regex_limits, 1);
}


bool
ngx_mesh_regex_match(const mesh_digest_t *digest, mesh_str_t pattern,
    mesh_str_t text)
{
    ngx_mesh_regex_t     *cell;
    mesh_regex_result_e   result;

    cell = ngx_mesh_regex_find(digest, pattern, false);

    if (cell->re.code == NULL) {
        return false;
    }

    result = mesh_regex_match(&cell->re, text);

    if (result == MESH_REGEX_LIMIT) {
        ngx_mesh_regex_gave_up();
    }

    return result == MESH_REGEX_YES;
}


mesh_found_e
ngx_mesh_regex_search(const mesh_digest_t *digest, mesh_str_t pattern,
    mesh_str_t text, mesh_found_t *found)
{
    mesh_found_e       result;
    ngx_mesh_regex_t  *cell;

    cell = ngx_mesh_regex_find(digest, pattern, true);

    if (cell->re.code == NULL) {
        return MESH_FOUND_NO;
    }

    result = mesh_regex_search(&cell->re, text, found);

    if (result == MESH_FOUND_LIMIT) {
        ngx_mesh_regex_gave_up();
    }

    return result;
}


void
ngx_mesh_regex_exit(void)
{
    ngx_uint_t  i, n;

    for (i = 0; i < NGX_MESH_REGEX_SETS; i++) {
        for (n = 0; n < NGX_MESH_REGEX_WAYS; n++) {
            mesh_regex_free(&ngx_mesh_regexes[i][n].re);
        }
    }

    pcre2_jit_stack_free(ngx_mesh_regex_stack);
}
