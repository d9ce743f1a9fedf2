/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Path templates, Envoy's URI templates: segments that are text, "*" (one
 * segment, not empty), "**" (any number of bytes, slashes too), "{name}" (as
 * "*") or "{name=...}" around some of these.  Text may stand behind a variable
 * in its segment, and before one that has no slash: "/v{major}.x".  Behind "*"
 * and "**" may stand the text that the path ends in.
 *
 * Nothing of the kind follows "**", and there is one of them in a segment.  So
 * each takes what it takes without trying, and matching is one walk over
 * template and path; the text is all that there is in the snapshot.
 */

#ifndef MESH_TEMPLATE_H
#define MESH_TEMPLATE_H

#include "mesh_base.h"
#include "mesh_text.h"


#define MESH_TEMPLATE_VARS       5      /* Envoy's bounds */
#define MESH_TEMPLATE_NAME_MAX   16

typedef struct {
    mesh_str_t            name;         /* in the template */
    mesh_str_t            value;        /* in the path */
} mesh_template_var_t;

typedef struct {
    unsigned              count;
    mesh_template_var_t   v[MESH_TEMPLATE_VARS];
} mesh_template_vars_t;


/*
 * Is it a template?  NULL, or what is wrong with it, at which byte.
 * `names` takes the variables it has.
 */
const char *mesh_template_check(mesh_str_t text, mesh_template_vars_t *names,
    size_t *at);

/* Is it a path with variables of these names?  As above. */
const char *mesh_template_check_rewrite(mesh_str_t text,
    const mesh_template_vars_t *names, size_t *at);

/*
 * Does the whole path match?  `vars` may be NULL.  Any bytes may be given for
 * a template: one that is none matches this or that.
 */
bool mesh_template_match(mesh_str_t text, mesh_str_t path,
    mesh_template_vars_t *vars);

/* What every path that matches begins with. */
mesh_str_t mesh_template_prefix(mesh_str_t text);

/* The rewrite with its variables replaced. */
void mesh_template_expand(mesh_str_t rewrite, const mesh_template_vars_t *vars,
    mesh_text_t *out);


#endif /* MESH_TEMPLATE_H */
