/*
 * ctl.h
 *		"apnsim ctl": commands from the shell to a simulator that runs.
 */
#ifndef APNSIM_CTL_H
#define APNSIM_CTL_H

/* The exit status: 0 if every answer was "ok". */
extern int	ctl_run(int argc, char **argv);

#endif
