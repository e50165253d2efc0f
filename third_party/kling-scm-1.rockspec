rockspec_format = "3.0"
package = "kling"
version = "scm-1"
-- Not published: `luarocks make third_party/kling-scm-1.rockspec` builds the clone it is started in.
source = { url = "file://." }
description = {
  summary = "Lua workflows for Kling video generation",
  detailed = "text2video, image2video, multi_image2video and omni over CometAPI; nothing is paid twice.",
  license = "MIT",
}
dependencies = { "lua ~> 5.4" }
external_dependencies = { OPENSSL = { header = "openssl/ssl.h" }, SQLITE = { header = "sqlite3.h" } }
build = {
  type = "command",
  build_command = "cmake --preset unity -B build/rock -D KLING_TESTS=OFF"
    .. " && cmake --build build/rock --target kling_module",
  install_command = "cp build/rock/lib/kling.so $(LIBDIR)",
}
