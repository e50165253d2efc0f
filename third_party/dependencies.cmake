# How the project finds what it builds on. Every library is a Debian package (packages.txt);
# no third-party source is part of this repository.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(SQLite3 3.40 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)

# The package has no CMake config. Its feature macros must be exactly those the library was built
# with (they change class layouts), so they are taken from pkg-config and never typed here.
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib zlib)

if(KLING_PROGRAM)
  find_package(CLI11 2.1 REQUIRED)
  # Its archive and those it needs (libedit-dev depends on them): four libraries less at start-up.
  pkg_check_modules(LIBEDIT REQUIRED libedit)
  add_library(kling_libedit INTERFACE)
  target_include_directories(kling_libedit SYSTEM INTERFACE ${LIBEDIT_INCLUDE_DIRS})
  target_link_libraries(kling_libedit INTERFACE -l:libedit.a -l:libtinfo.a -l:libbsd.a -l:libmd.a)
endif()

# Debian's C build of Lua is the default: yields and errors are 5 to 15 times faster than in the
# C++ build, which the tests are run against as well (KLING_LUA=c++).
set(KLING_LUA "c" CACHE STRING "which Lua 5.4 library to link: c or c++")
set_property(CACHE KLING_LUA PROPERTY STRINGS c c++)
if(KLING_LUA STREQUAL "c++")
  pkg_check_modules(LUA REQUIRED IMPORTED_TARGET lua5.4-c++)
else()
  pkg_check_modules(LUA REQUIRED IMPORTED_TARGET lua5.4)
endif()
# What is loaded into a program with its own Lua sees the headers only (KLING_FOREIGN_LUA).
add_library(kling_any_lua INTERFACE)
target_include_directories(kling_any_lua INTERFACE ${LUA_INCLUDE_DIRS})
target_link_libraries(kling_any_lua INTERFACE
  $<$<NOT:$<BOOL:$<TARGET_PROPERTY:KLING_FOREIGN_LUA>>>:PkgConfig::LUA>)
