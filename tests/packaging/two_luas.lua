-- LuaJIT's FFI: a Lua 5.4 inside a program that is another Lua.
local ffi = require "ffi"
ffi.cdef [[
typedef struct kling_host kling_host;
typedef struct { size_t struct_size; const char *base_url, *key, *ledger; void* rest[40]; } options;
kling_host* kling_host_new(const options*, char*, size_t);
unsigned long long kling_host_run(kling_host*, const char*, const char*, size_t, const char*);
int kling_host_tick(kling_host*, long long);
int kling_host_task_state(kling_host*, unsigned long long);
const char* kling_host_result(kling_host*, unsigned long long);
void kling_host_free(kling_host*);
]]
local kling = ffi.load(arg[1])
local options = ffi.new "options"
options.struct_size = ffi.sizeof(options)
options.base_url = os.getenv "KLING_BASE_URL"
options.key = os.getenv "KLING_API_KEY"
options.ledger = ":memory:"
local why = ffi.new "char[200]"
local host = kling.kling_host_new(options, why, 200)
if host == nil then error(ffi.string(why)) end
local source = "return _VERSION, require 'kling'.text2video { prompt = 'A kite' }:accepted().kind"
local task = kling.kling_host_run(host, "two.lua", source, #source, nil)
while kling.kling_host_task_state(host, task) == 0 do
  kling.kling_host_tick(host, 1000)
end
print(ffi.string(kling.kling_host_result(host, task)), _VERSION)
kling.kling_host_free(host)
