/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The version that the programs tell.
 */

#ifndef AGENT_VERSION_H
#define AGENT_VERSION_H

#define MESH_VERSION_TEXT "0.1.0"

#endif /* AGENT_VERSION_H */
