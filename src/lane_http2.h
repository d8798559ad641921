/*
 * lane_http2.h
 *		HTTP/2 over the connection of a lane, by nghttp2.
 */
#ifndef IMP_LANE_HTTP2_H
#define IMP_LANE_HTTP2_H

#include "postgres.h"

#include "lane.h"

extern void lane_http2_init(void);

/* The connection is made.  False for want of memory. */
extern bool lane_http2_begin(Lane *lane);
extern void lane_http2_end(Lane *lane);

/* Gives a request its stream; it is written at lane_http2_flush(). */
extern void lane_http2_submit(Lane *lane, Request *request);

/* A request ends before its stream does: the stream is reset. */
extern void lane_http2_cancel(Lane *lane, Request *request);

/* Takes what has come, and writes what there is to be written. */
extern void lane_http2_receive(Lane *lane);
extern void lane_http2_flush(Lane *lane);

/* How many streams the peer allows. */
extern int	lane_http2_streams(const Lane *lane);

#endif							/* IMP_LANE_HTTP2_H */
