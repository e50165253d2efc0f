# Lua and SQLite inside what other programs load, hidden: a program's own, of another make or
# version, would be found first where ours were shared libraries.
find_library(KLING_SQLITE_ARCHIVE libsqlite3.a REQUIRED)
add_library(kling_sqlite INTERFACE)
target_include_directories(kling_sqlite SYSTEM INTERFACE ${SQLite3_INCLUDE_DIRS})
target_link_libraries(kling_sqlite INTERFACE ${KLING_SQLITE_ARCHIVE} m)

if(KLING_LUA STREQUAL "c++")
  find_library(KLING_LUA_ARCHIVE liblua5.4-c++.a REQUIRED)
else()
  find_library(KLING_LUA_ARCHIVE liblua5.4.a REQUIRED)
endif()
# Debian's archive is made for programs. All that keeps it out of libraries are the C library's
# streams, which a copy takes from lua_streams.cpp.
set(KLING_LUA_INSIDE ${PROJECT_BINARY_DIR}/inside/liblua.a)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/inside)
add_custom_command(OUTPUT ${KLING_LUA_INSIDE}
  COMMAND ${CMAKE_OBJCOPY} --redefine-sym stdin=inside_stdin --redefine-sym stdout=inside_stdout
          --redefine-sym stderr=inside_stderr ${KLING_LUA_ARCHIVE} ${KLING_LUA_INSIDE}
  DEPENDS ${KLING_LUA_ARCHIVE} VERBATIM)
add_custom_target(kling_lua_copy DEPENDS ${KLING_LUA_INSIDE})
add_library(kling_lua_streams OBJECT third_party/lua_streams.cpp)

# kling_one_object(TARGET KEEP patterns... OBJECTS objects and archives...): an archive of one object
# in which only what KEEP names has a name. Its section groups are dissolved: a linker would take a
# program's copy of a template instead of ours, which has lost its name.
function(kling_one_object target)
  cmake_parse_arguments(PARSE_ARGV 1 ONE "" "" "KEEP;OBJECTS")
  set(object ${PROJECT_BINARY_DIR}/inside/${target}.o)
  list(TRANSFORM ONE_KEEP PREPEND --keep-global-symbol=)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_LINKER} -r --force-group-allocation -o ${object} ${ONE_OBJECTS}
    # What is unique in a whole process can be made local only once it is weak.
    COMMAND sh -c "${CMAKE_NM} ${object} | sed -n 's/^[0-9a-f]* u //p' >${object}.unique"
    COMMAND ${CMAKE_OBJCOPY} --weaken-symbols=${object}.unique ${object}
    COMMAND ${CMAKE_OBJCOPY} --wildcard ${ONE_KEEP} ${object}
    DEPENDS ${ONE_OBJECTS} COMMAND_EXPAND_LISTS VERBATIM)
  add_library(${target} STATIC ${object})
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
endfunction()
