# kling_floor(NAME FOLDER dir USES floors... LIBRARIES public... PRIVATE private...)
#
# A floor of the house: a static library of every .cpp below dir. Its include root holds only
# itself, so that #include "net/transport.h" compiles only where kling_net is linked.
function(kling_floor name)
  cmake_parse_arguments(PARSE_ARGV 1 FLOOR "" "FOLDER" "USES;LIBRARIES;PRIVATE")
  set(source_dir ${PROJECT_SOURCE_DIR}/${FLOOR_FOLDER})
  set(include_root ${PROJECT_BINARY_DIR}/floors/${name})
  file(MAKE_DIRECTORY ${include_root})
  file(CREATE_LINK ${source_dir} ${include_root}/${name} SYMBOLIC)

  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${source_dir}/*.cpp)
  add_library(kling_${name} STATIC ${sources})
  target_include_directories(kling_${name} PUBLIC ${include_root})
  foreach(floor IN LISTS FLOOR_USES)
    target_link_libraries(kling_${name} PUBLIC kling_${floor})
  endforeach()
  target_link_libraries(kling_${name} PUBLIC ${FLOOR_LIBRARIES} PRIVATE ${FLOOR_PRIVATE})
endfunction()
