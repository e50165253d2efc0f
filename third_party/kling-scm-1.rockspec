rockspec_format = "3.0"
package = "kling"
version = "scm-1"
source = { url = "git+https://example.org/kling-lua.git" }
description = {
  summary = "Lua workflows for Kling video generation",
  detailed = "text2video, image2video, multi_image2video and omni over CometAPI; nothing is paid twice.",
  license = "MIT",
}
dependencies = { "lua ~> 5.4" }
external_dependencies = { OPENSSL = { header = "openssl/ssl.h" }, SQLITE = { header = "sqlite3.h" } }
build = {
  type = "cmake",
  variables = {
    CMAKE_BUILD_TYPE = "Release",
    CMAKE_INSTALL_PREFIX = "$(PREFIX)",
    KLING_LUA_CMOD_DIR = "$(LIBDIR)",
    KLING_TESTS = "OFF",
  },
}
