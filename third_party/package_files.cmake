# What Debian wants of files in a package, before CPack packs them: pages compressed, a copyright, no
# debugging symbols in archives.
file(GLOB_RECURSE pages ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr/share/man/*)
file(GLOB_RECURSE archives ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr/*.a)
set(doc ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr/share/doc/kling)
file(RENAME ${doc}/LICENSE ${doc}/copyright)
file(GLOB licences ${doc}/licences/*)
foreach(licence IN LISTS licences)
  cmake_path(GET licence FILENAME package)
  file(READ ${licence} text)
  file(APPEND ${doc}/copyright "\n---- Of what comes from ${package}:\n\n${text}")
endforeach()
execute_process(COMMAND gzip -9n ${pages} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND strip --strip-debug ${archives} COMMAND_ERROR_IS_FATAL ANY)
