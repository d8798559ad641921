/*
 * lane_socket.h
 *		The sockets of a lane, as libcurl's callbacks.
 */
#ifndef IMP_LANE_SOCKET_H
#define IMP_LANE_SOCKET_H

#include "postgres.h"

#include "lane.h"

extern void lane_socket_init(int fd);

extern LaneSocket *lane_find_socket(Lane *lane, curl_socket_t fd);

/* On: what is written is collected, for 200 ms at most (tcp(7)); off: it leaves. */
extern void lane_socket_cork(Lane *lane, bool on);

/* CURLMOPT_SOCKETFUNCTION, with the lane */
extern int	lane_on_socket(CURL *easy, curl_socket_t fd, int what,
						   void *lane_pointer, void *unused);

/* CURLOPT_OPENSOCKETFUNCTION, with the request */
extern curl_socket_t lane_on_open(void *request_pointer, curlsocktype purpose,
								  struct curl_sockaddr *address);

/* CURLOPT_CLOSESOCKETFUNCTION, with the lane */
extern int	lane_on_close(void *lane_pointer, curl_socket_t fd);

#endif							/* IMP_LANE_SOCKET_H */
