# kling_embed(TARGET file symbol): compiles a text file into TARGET as `kling::symbol`, which who uses
# it declares: `extern const std::string_view symbol;`.
function(kling_embed target file symbol)
  cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY ${PROJECT_SOURCE_DIR})
  set(out ${PROJECT_BINARY_DIR}/embedded/${symbol}.cpp)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DIN=${file} -DOUT=${out} -DSYMBOL=${symbol}
            -P ${PROJECT_SOURCE_DIR}/third_party/embed_file.cmake
    DEPENDS ${file} ${PROJECT_SOURCE_DIR}/third_party/embed_file.cmake
    VERBATIM)
  target_sources(kling_${target} PRIVATE ${out})
endfunction()
# kling_embed_compiled(TARGET file symbol): the same of a Lua file, compiled by the Lua that is linked.
function(kling_embed_compiled target file symbol)
  if(NOT TARGET kling_compile_lua)
    add_executable(kling_compile_lua ${PROJECT_SOURCE_DIR}/third_party/compile_lua.cpp)
    target_link_libraries(kling_compile_lua PRIVATE kling_any_lua)
  endif()
  set(code ${PROJECT_BINARY_DIR}/embedded/${symbol}.luac)
  add_custom_command(OUTPUT ${code}
    COMMAND kling_compile_lua ${PROJECT_SOURCE_DIR}/${file} ${code}
    DEPENDS kling_compile_lua ${PROJECT_SOURCE_DIR}/${file} VERBATIM)
  kling_embed(${target} ${code} ${symbol})
endfunction()
