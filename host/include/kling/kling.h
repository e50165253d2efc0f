/* The Lua module `kling` for programs with their own Lua 5.4: link kling::module (or load kling.so
 * with require), and lend it a moment now and then.
 *
 * Threads: everything here belongs to the thread that runs the lua_State; two states may live on
 * two threads. The module starts threads of its own at the first request; they never touch a
 * lua_State. It does not bring a Lua library along: it uses the program's own, built as C or C++.
 * Once loaded it stays loaded (-z nodelete), so that lua_close never unloads running code.
 *
 * Blocking: kling_pump and kling_fd never block. A script that waits does, unless it waits in a
 * task (kling.spawn); after the first kling_pump a wait outside of tasks is an error instead.
 * lua_close waits for requests that are being sent, at most 10 seconds.
 * exit() and the end of main end the module's threads first. A forked child may use a module that
 * has made no request yet; else all but lua_close fails there, which returns at once.
 */
#ifndef KLING_KLING_H
#define KLING_KLING_H

#if defined(_WIN32)
#define KLING_EXPORT
#else
#define KLING_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct lua_State;

/* A lua_CFunction: opens the module and leaves its table on the stack. Key, service and ledger come
 * from the environment as with the program `kling`; kling.configure{} changes them. */
KLING_EXPORT int luaopen_kling(struct lua_State* L);

/* Runs tasks that are ready, for about `microseconds` (0: one round); a running piece of Lua is not
 * cut. Returns 1 when more is ready, 0 when not, -1 when the module is not open in this state. `L`
 * may be any thread of the state that runs now. Raises no Lua error and throws nothing. */
KLING_EXPORT int kling_pump(struct lua_State* L, long long microseconds);

/* A descriptor that is readable while there is something to pump, timers included: for poll, epoll,
 * glib and libuv loops. Never read, write or close it. -1 when there is none. */
KLING_EXPORT int kling_fd(struct lua_State* L);

#ifdef __cplusplus
}
#endif
#endif
