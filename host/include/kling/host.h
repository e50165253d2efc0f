/* A Lua host in a box: runs kling scripts inside any program, in C. C++ programs may prefer
 * <kling/host.hpp>. Link kling::host.
 *
 * Threads: a host belongs to the thread that made it, or moved it to itself; every function is
 * called there, and every callback comes there, from within a function of that host. kling_call_*
 * kling_exchange_* and kling_host_wakeup may be called from any thread. Several hosts may live in
 * one process, on one thread or on several. A host starts threads of its own at its first request.
 *
 * Blocking: kling_host_tick never blocks and touches no disk, network or database.
 * kling_host_run_file reads its file. kling_host_free and kling_host_reload return within a tenth
 * of a second, whatever is under way; what was paid for is in the ledger, and the next run goes on
 * with it.
 *
 * The end: exit() and the end of main end a host's threads first; nothing need be freed. A host
 * belongs to the process that made it: in a forked child kling_host_free does nothing, and all else
 * fails and says so. Requests of hosts that a child makes fail (kind ledger) where one of its
 * parent's had made a request and was not freed: SQLite's locks come along as they were.
 *
 * Texts that a function returns live until the next call that returns a text from the same host.
 * Values pass as JSON. Nothing throws, exits or aborts: misuse (another thread, a callback where
 * none may come from, NULL, an exchange that has ended) is answered as any failure, with 0, -1 or
 * NULL; kling_host_code and kling_host_error tell what it was. Hooks throw nothing either; what a
 * registered function throws is an error of the script that called it.
 */
#ifndef KLING_HOST_H
#define KLING_HOST_H

#include <stddef.h>
#include <string.h>

#define KLING_VERSION_MAJOR 0
#define KLING_VERSION_MINOR 1
#define KLING_VERSION_PATCH 0
/* What there is since a version; test with #ifdef. */
#define KLING_HAS_EVENTS 1
#define KLING_HAS_FUNCTIONS 1
#define KLING_HAS_WAKE 1
#define KLING_HAS_CLIP 1

#if defined(_WIN32) && defined(KLING_BUILDING)
#define KLING_HOST_EXPORT __declspec(dllexport)
#elif defined(_WIN32)
#define KLING_HOST_EXPORT __declspec(dllimport)
#else
#define KLING_HOST_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What kling_host_code returns, and every function here that has no host to ask. */
enum {
  KLING_OK = 0,
  KLING_ERROR = -1,  /* see the text */
  KLING_MISUSE = -2, /* a mistake in the program itself */
  KLING_NO_MEMORY = -3,
  KLING_FORKED = -4 /* the host belongs to the process that made it */
};

typedef struct kling_host kling_host;
typedef struct kling_exchange kling_exchange;
typedef struct kling_call kling_call;
typedef unsigned long long kling_task; /* 0 is none */

/* One HTTP request for the transport hook. Valid until the hook returns. */
typedef struct kling_request {
  size_t struct_size;
  const char* method;         /* GET or POST */
  const char* target;         /* path and query, below the base URL */
  const char* const* headers; /* name, value, name, value, ..., NULL; the key is among them */
  const char* content_type;
  const char* body;
  size_t body_size;
  long long deadline_ms; /* real time after which nobody waits for the answer any more */
} kling_request;

/* Zero means the default everywhere. Start from KLING_HOST_OPTIONS. The texts are copied. */
typedef struct kling_host_options {
  size_t struct_size;   /* sizeof(kling_host_options): programs may be older than the library */
  const char* base_url; /* default https://api.cometapi.com */
  const char* key;      /* else get_key is asked; without either, creating a job fails */
  const char* ledger;   /* a file, or ":memory:" for a host that forgets; required */
  const char* store;    /* folder for finished clips; default: beside the ledger */
  const char* profile;  /* "full" (default) or "safe" */
  size_t memory_limit;  /* bytes of the Lua state */
  double poll;          /* seconds between two queries of a job; default: the schedule */
  int max_jobs;         /* jobs at the service at a time */
  double max_cost;      /* US$ that a script may spend, its earlier runs included */
  /* What follows is for the profile "safe" (docs/safe.md tells what it cannot prevent), and wrong
   * in "full". A script that uses more in one tick is stopped, and all others of its host with it:
   * those that shall not end each other want a host each. How many ticks it gets is for the program
   * to say, which ends its waits with kling_host_cancel, and all with kling_host_reload or _free.
   */
  unsigned long long instruction_limit; /* of Lua, library calls included */
  double wall_limit;                    /* seconds of running; waits do not count */
  const char* const* roots;             /* folders whose files it may name, then NULL */
  const char* const*
      hosts; /* "host" or "host:port" for clips, then NULL; default: any public one */

  void* user; /* given to the hooks */
  /* The key, when a request needs it and there is none; NULL: not yet, the next one asks again. */
  const char* (*get_key)(void* user);
  /* level: debug, info, warning (also of tasks that wait for each other) or error; print: a line
   * that a script has printed, or written to io.stdout; question: one for a person, as text, which
   * is an event, too. Default: standard error; what is printed goes to standard output. */
  void (*log)(void* user, const char* level, const char* message);
  /* Milliseconds since 1970; asked once a tick. While it stands still, jobs are not looked at.
   * Where it is not the time of day, signed callbacks are refused as too old or too new. */
  long long (*now)(void* user);
  /* Memory of the Lua state, as lua_Alloc: new_size 0 frees, else NULL refuses. */
  void* (*allocate)(void* user, void* block, size_t old_size, size_t new_size);
  /* Sends a request some other way. Returns at once; later, one of kling_exchange_answer and
   * kling_exchange_fail is called, once; never: it is waited for until the deadline. Finished clips
   * are fetched without it. */
  void (*send)(void* user, const kling_request* request, kling_exchange* exchange);

  double price_factor;  /* what the account is charged of the list price; default 1 */
  const char* callback; /* the https address of your web server: see kling_host_notify */
  const char*
      webhook_secret; /* what the service signs callbacks with; default: they are unsigned */

  /* There is something to tick for: a loop without descriptors posts itself a message. From a
   * thread of the host's, at most once between two ticks; it may call kling_host_wakeup, nothing
   * else. */
  void (*wake)(void* user);
  int max_requests;    /* that a script may have sent, its earlier runs included; 0: any number */
  double patience;     /* seconds that a lost answer is searched for; default 180, -1: none */
  int ask_when_lost;   /* 1: such a job ends as ambiguous and is never sent again by itself */
  int no_replay;       /* 1: equal requests are new ones in each run */
  const char* ca_file; /* certificates to trust instead of the system's */
  const char* proxy;   /* http://user:password@host:port; default: HTTPS_PROXY and its kin */
  const char* user_agent; /* such as "MyGame/1.2" */
  const char* ffmpeg; /* the folder of ffmpeg and ffprobe, for the whole process; default: PATH */
} kling_host_options;

#define KLING_HOST_OPTIONS kling_host_default_options()
static inline kling_host_options kling_host_default_options(void) {
  kling_host_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  return options;
}

/* "0.1.0" */
KLING_HOST_EXPORT const char* kling_host_version(void);

/* Makes a host; NULL when an option is wrong, and why in `error` (may be NULL) and as
 * kling_host_error(NULL): the option, its value and its limit. No thread and no network yet; of the
 * disk, whether the paths can be: missing folders of ledger and store are made. Relative paths are
 * meant as they are now. */
KLING_HOST_EXPORT kling_host* kling_host_new(const kling_host_options* options, char* error,
                                             size_t error_size);
/* Ends everything. Not from within a callback. NULL is allowed. Returns KLING_OK; else the host
 * lives on. */
KLING_HOST_EXPORT int kling_host_free(kling_host* host);

/* Why the last call that returned 0, -1 or NULL did so, as a text, which lives until the next call,
 * and as one of the codes above. With another thread's host, or none: of the last call here
 * that could not tell its host, such as kling_call_answer. */
KLING_HOST_EXPORT const char* kling_host_error(kling_host* host);
KLING_HOST_EXPORT int kling_host_code(kling_host* host);
/* From now on the host belongs to the calling thread. The one before must be out of it, and be seen
 * to be: by a lock, a join. */
KLING_HOST_EXPORT int kling_host_move_here(kling_host* host);

/* Scripts call `name`, such as "game.spawn_screen", and your function is called within a tick.
 * `arguments` is a JSON array and lives until it returns. The script gets what the function answers
 * with kling_call_answer (JSON; NULL: nothing) or raises what it says with kling_call_fail: at
 * once, or later, from any thread; its task waits meanwhile, others go on. Lasts over a reload.
 * Returns 0, or -1. */
typedef void (*kling_function)(void* user, kling_call* call, const char* arguments);
KLING_HOST_EXPORT int kling_host_register(kling_host* host, const char* name,
                                          kling_function function, void* user);
/* Once for each call, from any thread; the host may be gone. KLING_MISUSE: it was answered. */
KLING_HOST_EXPORT int kling_call_answer(kling_call* call, const char* json);
KLING_HOST_EXPORT int kling_call_fail(kling_call* call, const char* message);
/* Makes a global function of the scripts, such as "on_pickup" or "level.start", or one that is
 * registered, a task of that name. As kling_host_run otherwise. */
KLING_HOST_EXPORT kling_task kling_host_call(kling_host* host, const char* function,
                                             const char* arguments);

/* Makes Lua source a task called `name`; it first runs in a tick. `arguments` is a JSON array, what
 * `...` is in the script; NULL for none. 0 when the source does not compile. The task's name, its
 * request and their order tell the ledger which step is which: keep names from run to run. */
KLING_HOST_EXPORT kling_task kling_host_run(kling_host* host, const char* name, const char* source,
                                            size_t size, const char* arguments);
/* The same from a file, named by its file name. Its `require` looks into its folder first. */
KLING_HOST_EXPORT kling_task kling_host_run_file(kling_host* host, const char* path,
                                                 const char* arguments);

/* Runs what is ready, for about `budget_us` microseconds (0: one round). Returns 1 when more is
 * ready at once, else 0. The budget is kept by all of our own work; a running piece of Lua is not
 * cut in the profile "full". -1: see kling_host_error. */
KLING_HOST_EXPORT int kling_host_tick(kling_host* host, long long budget_us);
/* A descriptor that is readable when a tick has something to do, timers included: for poll or
 * epoll. Never read, write or close it; -1 when there is none. */
KLING_HOST_EXPORT int kling_host_fd(kling_host* host);

/* Makes the descriptor readable and calls `wake`: for who has something for the ticking thread.
 * From any thread while the host lives; not from a signal handler. */
KLING_HOST_EXPORT int kling_host_wakeup(kling_host* host);

enum {
  KLING_TASK_UNKNOWN = -1,
  KLING_TASK_RUNNING = 0,
  KLING_TASK_DONE = 1,
  KLING_TASK_FAILED = 2
};
KLING_HOST_EXPORT int kling_host_task_state(kling_host* host, kling_task task);
/* Of a task that is done: a JSON array of what it returned, as that is now; a Clip is {"clip": its
 * job's handle, "path" (once it is stored), "duration", "url"}, and "from", "to" (seconds) and
 * "mute" where part of it is meant: path and url are those of the whole. A film is {"path"}, a Job
 * what kling_host_job tells, an Error what a failed task has, and null what JSON has no word for
 * (kling_host_error says which). Of one that failed:
 * {"error": {"kind": ..., "message": ...}, "traceback": ...}. Else NULL. */
KLING_HOST_EXPORT const char* kling_host_result(kling_host* host, kling_task task);
/* Results are kept until then, or until the next reload. */
KLING_HOST_EXPORT void kling_host_forget(kling_host* host, kling_task task);
/* Raises `interrupted` in this and every later wait of a task; 0: of all tasks. Jobs go on. */
KLING_HOST_EXPORT void kling_host_cancel(kling_host* host, kling_task task);

/* What has happened, oldest first, to ask for after each tick: a JSON object; NULL: nothing (more).
 *   {"event": "accepted", "progress", "succeeded" or "failed", "job": {...}}: of one that succeeded
 *     "path", or, where its clip could not be stored, "warning" with the reason and what gets it
 *   {"event": "question", "question": {...}}: see kling_host_answer
 *   {"event": "ended", "task": 7, "name": "on_pickup", "ok": true}: see kling_host_result
 * States of a job that nobody asked for in time merge into the last one. Skip what you do not know.
 */
KLING_HOST_EXPORT const char* kling_host_next_event(kling_host* host);
/* The jobs of this host, oldest first: a JSON array of objects with the fields of a Job in Lua;
 * those that had ended before a reload are not among them. And one by its handle; NULL: there is
 * none. */
KLING_HOST_EXPORT const char* kling_host_jobs(kling_host* host);
KLING_HOST_EXPORT const char* kling_host_job(kling_host* host, const char* handle);
/* The bytes of a stored clip, for programs whose files are no files: *size of them, which live
 * until the next call. Reads the disk. NULL: there is no such job, or no file of it (yet). */
KLING_HOST_EXPORT const void* kling_host_clip(kling_host* host, const char* handle, size_t* size);
/* Jobs that are neither finished nor failed, and other work under way. 0: a good time to leave. */
KLING_HOST_EXPORT size_t kling_host_pending(kling_host* host);
/* 1 while a paid request is about to be sent, or was sent and is not answered yet: who leaves now
 * has the next start look for it. */
KLING_HOST_EXPORT int kling_host_busy(kling_host* host);

/* What scripts ask a person (kling.pick, approve, ask), oldest first: a JSON array of {"id",
 * "kind", "question", "choices", "where"}, with "answer" once somebody gave one. */
KLING_HOST_EXPORT const char* kling_host_questions(kling_host* host);
/* The answer to one of them: the number of the choice, from 1; of "approve" 1 is yes and 2 no. The
 * script goes on in a later tick. Returns 0, or -1 where there is no such question or choice. */
KLING_HOST_EXPORT int kling_host_answer(kling_host* host, long long question, int choice);

/* Your web server got a callback of the service below the address options.callback: the job that
 * it speaks of is asked about soon. `path` is that of the request. Returns 0, or -1 for what is no
 * callback (no JSON object, or one that names no task); with a webhook_secret also for what is not
 * signed, for which `headers` is needed: name, value, name, value, ..., NULL. Whether there is such
 * a job is looked up later and not told: a forged, repeated or late one does no harm. */
KLING_HOST_EXPORT int kling_host_notify(kling_host* host, const char* path, const char* body,
                                        size_t size);
KLING_HOST_EXPORT int kling_host_notify_signed(kling_host* host, const char* path,
                                               const char* const* headers, const char* body,
                                               size_t size);

/* Global variables of the scripts, by name ("a.b" is one, no path). set returns 0, or -1. get
 * returns "null" for one that is not there, and NULL for what JSON cannot say. */
KLING_HOST_EXPORT int kling_host_set(kling_host* host, const char* name, const char* json);
KLING_HOST_EXPORT const char* kling_host_get(kling_host* host, const char* name);

/* Throws the Lua state away, tasks and globals with it, and keeps the jobs: run the (changed)
 * script again, and what it asks for again is gone on with instead of being paid for twice, also
 * with the ledger ":memory:". Tasks that it ends are told as "ended", not ok, without a result.
 * Returns 0, or -1. Not from within a callback. */
KLING_HOST_EXPORT int kling_host_reload(kling_host* host);

/* The end of an exchange, once, from any thread; the host may be gone. KLING_MISUSE: it has ended,
 * or its deadline has passed; or body is NULL and size is not 0, and it goes on. */
KLING_HOST_EXPORT int kling_exchange_answer(kling_exchange* exchange, int status,
                                            const char* content_type, const char* body,
                                            size_t size);
/* `may_have_been_sent`: 0 only when the service cannot have seen the request: it is sent again.
 * Otherwise it is looked for at the service before anything else. */
KLING_HOST_EXPORT int kling_exchange_fail(kling_exchange* exchange, int may_have_been_sent);

#ifdef __cplusplus
}
#endif
#endif
