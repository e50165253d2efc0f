# kling_embed(TARGET file symbol): compiles a text file into TARGET as `kling::symbol`, which who uses
# it declares: `extern const std::string_view symbol;`.
function(kling_embed target file symbol)
  set(out ${PROJECT_BINARY_DIR}/embedded/${symbol}.cpp)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DIN=${PROJECT_SOURCE_DIR}/${file} -DOUT=${out} -DSYMBOL=${symbol}
            -P ${PROJECT_SOURCE_DIR}/third_party/embed_file.cmake
    DEPENDS ${PROJECT_SOURCE_DIR}/${file} ${PROJECT_SOURCE_DIR}/third_party/embed_file.cmake
    VERBATIM)
  target_sources(kling_${target} PRIVATE ${out})
endfunction()
