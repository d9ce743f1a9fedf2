/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the files that read or write other modules' configuration share:
 * finding a module, and what a location, its server and http said with its
 * directives.
 */

#ifndef NGX_HTTP_MESH_ROUTE_CONF_H
#define NGX_HTTP_MESH_ROUTE_CONF_H

#include "ngx_http_mesh.h"


/* --- ngx_http_mesh_route_conf.c ------------------------------------------ */

/* A module by its name; NULL: nginx was built without it. */
ngx_module_t *ngx_http_mesh_module_of(ngx_conf_t *cf, const char *name);

/* A module's directive, or NULL. */
ngx_command_t *ngx_http_mesh_command(ngx_module_t *module,
    const ngx_str_t *name);

/* The location's own conf of a module, the server's, http's. */
void ngx_http_mesh_levels(ngx_conf_t *cf, ngx_module_t *module,
    u_char *confs[3]);


/* --- ngx_http_mesh_route_headers.c --------------------------------------- */

/*
 * Fills in the location's proxy_set_header and, unless `grpc` is NULL,
 * grpc_set_header.
 */
char *ngx_http_mesh_route_headers(ngx_conf_t *cf, ngx_module_t *grpc,
    ngx_http_mesh_loc_conf_t *mlcf);

/* At merging: what was said below mesh_route. */
char *ngx_http_mesh_route_headers_check(ngx_conf_t *cf,
    ngx_http_mesh_loc_conf_t *mlcf);


extern ngx_module_t  ngx_http_proxy_module;


#endif /* NGX_HTTP_MESH_ROUTE_CONF_H */
