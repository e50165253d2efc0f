/* A program with a Lua of another make and a SQLite of its own, whose names a library would find
 * before those of libraries that it needs. */
#include <kling/host.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

int sqlite3_open_v2(const char* name, void** database, int flags, const char* vfs);
int sqlite3_open_v2(const char* name, void** database, int flags, const char* vfs) {
  (void)name, (void)database, (void)flags, (void)vfs;
  puts("our ledger in the program's SQLite");
  exit(1);
}

int main(void) {
  lua_State* L = luaL_newstate();
  luaL_openlibs(L);
  kling_host_options options = KLING_HOST_OPTIONS;
  options.ledger = ":memory:";
  options.base_url = getenv("KLING_BASE_URL");
  options.key = getenv("KLING_API_KEY");
  char why[200];
  kling_host* host = kling_host_new(&options, why, sizeof why);
  if (host == NULL) return fprintf(stderr, "%s\n", why), 1;
  const char* source =
      "io.stdout:write(_VERSION, ' ')"
      "return require 'kling'.text2video { prompt = 'A kite' }:accepted().kind";
  kling_task task = kling_host_run(host, "two.lua", source, strlen(source), NULL);
  while (kling_host_task_state(host, task) == KLING_TASK_RUNNING) kling_host_tick(host, 1000);
  printf("%s ", kling_host_result(host, task));
  kling_host_free(host);
  fflush(stdout);
  if (luaL_dostring(L, "io.stdout:write(_VERSION, '\\n')") != 0) return 1;
  lua_close(L);
  return 0;
}
