# kling_embed(TARGET file symbol header): compiles a text file into TARGET as
# `const char <symbol>[]` and `const std::size_t <symbol>Size` of namespace kling::lua.
function(kling_embed target file symbol header)
  set(out ${PROJECT_BINARY_DIR}/embedded/${symbol}.cpp)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DIN=${PROJECT_SOURCE_DIR}/${file} -DOUT=${out} -DSYMBOL=${symbol}
            -DHEADER=${header} -P ${PROJECT_SOURCE_DIR}/third_party/embed_file.cmake
    DEPENDS ${PROJECT_SOURCE_DIR}/${file} ${PROJECT_SOURCE_DIR}/third_party/embed_file.cmake
    VERBATIM)
  target_sources(kling_${target} PRIVATE ${out})
endfunction()
