// compile_lua FILE.lua OUT: what string.dump gives of a file, for the Lua that is linked here.
#include <cstdio>

#include <lua.hpp>

int main(int argc, char** argv) {
  lua_State* L = argc == 3 ? luaL_newstate() : nullptr;
  if (L == nullptr) return 2;
  luaL_openlibs(L);
  lua_pushstring(L, argv[1]);
  lua_setglobal(L, "source");
  lua_pushstring(L, argv[2]);
  lua_setglobal(L, "target");
  const char* code = R"(
    local file <close> = assert(io.open(source, "rb"))
    local out <close> = assert(io.open(target, "wb"))
    assert(out:write(string.dump(assert(load(file:read "a", "=[kling]", "t")))))
    assert(out:flush()))";
  if (luaL_dostring(L, code) != LUA_OK) return std::fprintf(stderr, "%s\n", lua_tostring(L, -1)), 1;
  lua_close(L);
}
