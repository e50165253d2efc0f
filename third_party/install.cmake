# `cmake --install`, find_package(kling), pkg-config, and the Debian package.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/kling)

if(KLING_PROGRAM)
  install(TARGETS kling RUNTIME)
endif()
install(TARGETS kling_host EXPORT kling LIBRARY)
install(TARGETS kling_module EXPORT kling LIBRARY DESTINATION ${KLING_LUA_CMOD_DIR})
install(TARGETS kling_host_static kling_module_static ARCHIVE)
install(DIRECTORY host/include/kling TYPE INCLUDE)
# Without the ledgers of who ran them here.
install(DIRECTORY scripts/ DESTINATION ${CMAKE_INSTALL_DATADIR}/kling/scripts
        PATTERN .kling EXCLUDE)
install(FILES README.md LICENSE TYPE DOC)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR}
        FILES_MATCHING PATTERN "*.md" PATTERN "*.png" PATTERN "*.jpg" PATTERN "*.svg"
        PATTERN man EXCLUDE PATTERN completion EXCLUDE)
# The licences of what is linked in, or compiled in, as the packages tell them that it comes from.
foreach(package liblua5.4-dev libsqlite3-dev nlohmann-json3-dev libcli11-dev libedit-dev libbsd-dev
                libmd-dev libncurses-dev)
  install(FILES /usr/share/doc/${package}/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR}/licences
          RENAME ${package} OPTIONAL)
endforeach()
file(GLOB manuals_1 docs/man/*.1)
file(GLOB manuals_3 docs/man/*.3lua)
install(FILES ${manuals_1} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 OPTIONAL)
install(FILES ${manuals_3} DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 OPTIONAL)

# Where shells find completion by themselves: /usr/local has another place for zsh.
foreach(file bash-completion/completions/kling zsh/vendor-completions/_kling
             zsh/site-functions/_kling fish/vendor_completions.d/kling.fish)
  cmake_path(GET file PARENT_PATH folder)
  cmake_path(GET file FILENAME name)
  install(FILES docs/completion/${name} DESTINATION ${CMAKE_INSTALL_DATADIR}/${folder})
endforeach()

install(EXPORT kling NAMESPACE kling:: DESTINATION ${package_dir} FILE klingTargets.cmake)
configure_package_config_file(third_party/klingConfig.cmake.in ${PROJECT_BINARY_DIR}/klingConfig.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/klingConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/klingConfig.cmake ${PROJECT_BINARY_DIR}/klingConfigVersion.cmake
        DESTINATION ${package_dir})

# The prefix is relative to the file, so that a tree may be moved.
file(RELATIVE_PATH up /x/${CMAKE_INSTALL_LIBDIR}/pkgconfig /x)
foreach(name kling kling-static kling-module)
  configure_file(third_party/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_CONTACT "the kling-lua project <kling@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Lua workflows for Kling video generation")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "A program that runs Lua scripts over CometAPI, or over the simulator that is
 part of it; the module kling for other programs' Lua 5.4; and a host to embed.
 Nothing is paid twice, and nothing paid for is lost.")
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/third_party/package_files.cmake)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ffmpeg, fonts-dejavu-core")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS lua5.4)
set(CPACK_DEBIAN_PACKAGE_SECTION video)
include(CPack)
