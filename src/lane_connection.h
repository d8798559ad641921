/*
 * lane_connection.h
 *		The connection of a lane: TCP and TLS, by libcurl.
 */
#ifndef IMP_LANE_CONNECTION_H
#define IMP_LANE_CONNECTION_H

#include "postgres.h"

#include "lane.h"

extern void lane_connection_init(int epoll_fd);

/* False if libcurl has no memory.  Connects as lane_connection_drive() is called. */
extern bool lane_connection_open(Lane *lane);
extern void lane_connection_close(Lane *lane);

/* The epoll descriptor's tag of a socket: whose it is, and which. */
extern int	lane_connection_slot(uint64 tag);
extern LaneSocket *lane_connection_socket(Lane *lane, uint64 tag);

/* Lets libcurl work; what is CURL_CSELECT_…, fd may be CURL_SOCKET_TIMEOUT. */
extern void lane_connection_drive(Lane *lane, curl_socket_t fd, int what);

/*
 * Once it is made.  CURLE_AGAIN: not at the moment.  0 bytes received: the
 * peer has closed it.
 */
extern CURLcode lane_connection_send(Lane *lane, const char *data,
									 size_t length, size_t *sent);
extern CURLcode lane_connection_receive(Lane *lane, char *data, size_t size,
										size_t *received);

/* Whether the epoll descriptor is to tell when there is room to write, too. */
extern void lane_connection_watch(Lane *lane, bool writable);

/* Ends it without a word. */
extern void lane_connection_cut(Lane *lane);

#endif							/* IMP_LANE_CONNECTION_H */
